/// One stream as the store holds it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "durable_streams/detail/content.h"
#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams::detail {

/// One append: where it ends in the stream, and where its octets are in the log (a file store's).
struct Extent {
  Position end = 0;
  std::uint32_t segment = 0;
  std::uint32_t at = 0;
};

struct ProducerState {
  std::uint64_t epoch = 0;
  std::uint64_t lastSeq = 0;
  Clock::Micros used{0};  ///< when it last wrote; not kept over a restart
};
using Producers = std::unordered_map<std::string, ProducerState>;

struct Watcher {
  std::uint64_t id = 0;
  StreamWatch call{};
};

/// Changes are made to the first group at once; readers see the second, which follows when a change is durable.
struct Stream {
  std::uint64_t id = 0;
  std::string path{};
  std::string contentType{};
  bool json = false;
  std::optional<std::chrono::seconds> ttl{};
  std::string expiresAt{};
  Clock::Micros expiresAtTime{0};
  Clock::Micros accessed{0};

  Position base = 0;  ///< what is before it is the source's
  Position tail = 0;
  bool closed = false;
  bool deleted = false;  ///< kept for its forks alone
  std::optional<ProducerStamp> closedBy{};
  std::optional<std::string> lastSeq{};
  std::unique_ptr<Producers> producers{};
  std::uint64_t lastTicket = 0;  ///< the commit of its last change

  bool visible = false;
  Position visibleTail = 0;
  bool visibleClosed = false;

  std::uint64_t sourceId = 0;  ///< 0: no fork
  Stream* source = nullptr;
  std::optional<ForkPoint> fork{};  ///< as it was asked for, with the place resolved
  std::uint32_t forks = 0;          ///< streams whose source this is
  std::uint32_t depth = 0;          ///< sources above it

  std::vector<Extent> extents{};   ///< of [base, tail)
  std::uint32_t stateSegment = 0;  ///< where its last state record is (a file store's)
  std::uint32_t stateBytes = 0;
  Content content{};
  std::vector<std::shared_ptr<Watcher>> watchers{};
};

/// The end of the last append at or before `at`, or 0.
Position boundaryAtOrBefore(const Stream& stream, Position at);
/// The end of the first append after `at`; `at` itself where there is none.
Position boundaryAfter(const Stream& stream, Position at);
inline bool isBoundary(const Stream& stream, Position at) { return boundaryAtOrBefore(stream, at) == at; }
/// Where a read from `from` ends: at a boundary, at most `maxBytes` further unless the first append is larger.
Position readEnd(const Stream& stream, Position from, std::size_t maxBytes);

StreamInfo visibleInfo(const Stream& stream);
/// As of the last change, durable or not; without the texts.
StreamInfo changedInfo(const Stream& stream);

}  // namespace tidegate::durable_streams::detail
