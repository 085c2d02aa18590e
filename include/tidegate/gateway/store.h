/// Where a gateway keeps its log, rows and dedupe window: an ordered set of checksummed segments, changed atomically.
///
/// The gateway holds its working state in memory and writes each group of pushes as a few segments; it rewrites what is
/// still alive in old segments and drops them (docs/formats.md, docs/decisions). A store only has to keep octets.
///
/// Origin: the log-structured file system's segments (Rosenblum and Ousterhout, 1991), one transaction per group
/// commit.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate {

/// What a segment holds. Numbers are part of the on-disk format.
enum class SegmentKind : std::uint8_t { log = 1, rows = 2, seen = 3, meta = 4 };

/// A segment's name. Ids grow; kind and id together are unique.
struct SegmentRef {
  SegmentKind kind = SegmentKind::log;
  std::uint64_t id = 0;
  auto operator<=>(const SegmentRef&) const = default;
};

/// A segment to write.
struct Segment {
  SegmentRef ref;
  std::string_view octets;
};

/// A gateway's durable half.
/// @thread One call at a time (the gateway's commit leader).
class GatewayStore {
 public:
  using Visitor = std::function<void(SegmentRef ref, std::string_view octets)>;
  virtual ~GatewayStore() = default;

  /// Visits every segment in (kind, id) order. Called once, before the first commit.
  /// @throws Error{storeUnavailable}; Error{storeCorrupt, Retry::afterOperator} if a checksum fails.
  virtual void load(const Visitor& visit) = 0;

  /// Writes `puts` (replacing equal names) and removes `drops`, all or nothing; durable when it returns.
  /// @throws Error{storeUnavailable, Retry::later} if nothing was changed; Error{…, Retry::outcomeUnknown} if that
  ///         cannot be known: the gateway then refuses all work until it is opened again.
  virtual void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) = 0;
};

/// Keeps segments in memory: for tests and simulations that restart a gateway. A gateway without any store is faster.
class MemoryGatewayStore final : public GatewayStore {
 public:
  void load(const Visitor& visit) override;
  void commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) override;
  std::size_t bytes() const;

 private:
  std::map<SegmentRef, std::string> segments_;
};

}  // namespace tidegate
