/// Where a Durable Streams server keeps its streams: the state of the protocol without its HTTP.
///
///     auto store = durable_streams::memoryStreamStore();
///     store->create("events/a", {.contentType = "application/json"}, [](const StreamResult&) {});
///     store->append("events/a", {.contentType = "application/json", .body = R"({"n":1})"}, [](const StreamResult& r) {
///       use(r.verdict, r.stream.tail);   // called once the append is durable
///     });
///     StreamRead part = store->read("events/a", 0, 1 << 20);   // part.octets == R"({"n":1},)"
///
/// A position is the number of octets before it in what the stream keeps. A JSON stream keeps its messages, each
/// followed by a comma, so an array is brackets around a piece of it. Readers see only what is durable. Origin: the
/// Durable Streams protocol, sections 4, 5 and 8.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/core/clock.h"

namespace tidegate::durable_streams {

/// Octets from a stream's beginning. An append's end is the next append's begin.
using Position = std::uint64_t;

/// Who writes, for retries that must not apply twice (section 5.2.1).
struct ProducerStamp {
  std::string id{};
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;
  bool operator==(const ProducerStamp&) const = default;
};

/// Where a fork leaves its source.
struct ForkPoint {
  std::string source{};           ///< the source's path
  std::optional<Position> at{};   ///< none: the source's tail
  std::uint64_t subPosition = 0;  ///< past `at`: messages of a JSON stream, octets of another
  bool operator==(const ForkPoint&) const = default;
};

struct CreateStream {
  std::string contentType{};                  ///< empty: application/octet-stream, or the source's
  std::optional<std::chrono::seconds> ttl{};  ///< since the last read or write; not beside `expiresAt`
  std::string expiresAt{};                    ///< as the client wrote it
  Clock::Micros expiresAtTime{0};             ///< the same, parsed
  bool closed = false;
  std::string body{};  ///< first content
  std::optional<ForkPoint> fork{};
};

struct AppendToStream {
  std::string contentType{};
  std::string body{};  ///< may be empty only with `close`
  bool close = false;
  std::optional<std::string> seq{};  ///< Stream-Seq; scoped to the stream
  std::optional<ProducerStamp> producer{};
};

/// What became of a change.
enum class Verdict {
  done,       ///< created, appended, closed, deleted
  unchanged,  ///< it was so already: the same stream exists, or is closed
  duplicate,  ///< a producer's repetition of what is there
  notFound,
  gone,         ///< deleted, and kept for its forks alone
  blocked,      ///< its path belongs to a deleted stream that forks still need
  differs,      ///< a stream with another configuration has this path
  wrongType,    ///< the content type is not the stream's
  closed,       ///< the stream is closed
  seqNotAfter,  ///< Stream-Seq is not after the last one
  staleEpoch,
  epochNotFromZero,
  producerGap,
  noSource,        ///< the fork's source does not exist
  sourceGone,      ///< the fork's source is deleted
  badForkPoint,    ///< beyond the source, or at no place where an append ends
  badSubPosition,  ///< past the end of the append at the fork point
  badJson,         ///< not JSON, or an empty array in an append
  tooMany,         ///< a bound of the store is reached
  unavailable      ///< the store cannot commit; see `StreamResult::message`
};

/// The identifier, e.g. "seqNotAfter".
std::string_view toString(Verdict verdict) noexcept;

/// A stream as its readers see it.
struct StreamInfo {
  std::uint64_t id = 0;  ///< never used again, also not for another stream at the same path
  std::string contentType{};
  bool json = false;
  Position tail = 0;
  bool closed = false;
  std::optional<std::chrono::seconds> ttl{};
  std::string expiresAt{};
};

struct StreamResult {
  Verdict verdict = Verdict::notFound;
  StreamInfo stream{};              ///< as of this change, where the stream exists
  std::uint64_t producerEpoch = 0;  ///< the producer's current one; for staleEpoch the one that fences
  std::uint64_t producerSeq = 0;    ///< the highest accepted; for producerGap the one expected
  std::string message{};            ///< what to tell the client where the verdict alone says too little
};

/// Called exactly once: once the change is durable, or at once where it is refused. On the caller's thread, or on the
/// one that commits; under no lock.
using StreamDone = std::function<void(const StreamResult& result)>;

enum class ReadVerdict { data, notFound, gone, badPosition };

struct StreamRead {
  ReadVerdict verdict = ReadVerdict::notFound;
  StreamInfo stream{};
  std::string octets{};
  Position next = 0;      ///< where to read on
  bool upToDate = false;  ///< `next` is the tail
};

/// Called after a stream's visible tail moved, after it was closed or deleted. @thread As StreamDone.
using StreamWatch = std::function<void()>;

/// Bounds of a store.
struct StoreLimits {
  std::size_t streams = 1'000'000;
  std::size_t producersPerStream = 10'000;  ///< over it those idle longest go if older than `producerIdle`
  std::chrono::seconds producerIdle{7 * 24 * 3600};
  std::size_t pathBytes = 1'024;
  std::size_t noteBytes = 1u << 20;
};

/// @thread Any, for every member.
class StreamStore {
 public:
  virtual ~StreamStore() = default;

  virtual void create(std::string_view path, CreateStream request, StreamDone done) = 0;
  virtual void append(std::string_view path, AppendToStream request, StreamDone done) = 0;
  virtual void remove(std::string_view path, StreamDone done) = 0;

  /// Metadata. Does not count as a read for the time to live. `octets` is empty.
  virtual StreamRead head(std::string_view path) = 0;
  /// Whole appends from `from` on, up to `maxBytes` octets of them and at least one; across forks. Counts as a read.
  /// What no longer is in memory is read from the disk on the caller's thread.
  /// @throws Error{storeCorrupt} naming file and offset where the disk gives other octets than were written.
  virtual StreamRead read(std::string_view path, Position from, std::size_t maxBytes) = 0;

  /// Calls `watch` after each change of the stream until `unwatch`. A watched stream does not expire by its time to
  /// live. @return a number for `unwatch`; 0 where the stream is not there (`watch` is then not kept).
  virtual std::uint64_t watch(std::string_view path, StreamWatch watch) = 0;
  /// No call begins after it returned.
  virtual void unwatch(std::uint64_t id) = 0;

  /// The paths of all streams that are not deleted, in no order.
  virtual std::vector<std::string> paths() = 0;
  virtual std::size_t size() = 0;

  /// Small entries beside the streams, equally durable: what subscriptions and keys are kept in. An empty value
  /// removes.
  virtual void putNote(std::string_view key, std::string_view value, StreamDone done) = 0;
  virtual std::vector<std::pair<std::string, std::string>> notes() = 0;

  /// Removes what has expired; without it an expired stream goes when somebody asks for it. @return how many.
  virtual std::size_t sweep() = 0;
};

struct MemoryStoreOptions {
  const Clock* clock = nullptr;  ///< null: the system's
  StoreLimits limits{};
};

/// Streams in memory, lost with the process.
std::shared_ptr<StreamStore> memoryStreamStore(MemoryStoreOptions options = {});

/// "0000000000000000_0000000000000042": sorts as the number does (section 8).
std::string formatPosition(Position position);
/// Digits, an underscore, digits, at most 16 each; a first number other than 0 lies beyond every stream.
/// @return nullopt for anything else.
std::optional<Position> parsePosition(std::string_view text) noexcept;

}  // namespace tidegate::durable_streams
