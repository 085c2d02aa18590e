/// A gateway's state as store segments: what each commit writes, what it cleans up, and how all of it comes back
/// (decision 3).
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "gateway/detail/buffer_state.h"
#include "gateway/detail/ingest_book.h"
#include "gateway/detail/segment_codec.h"
#include "gateway/detail/staging.h"
#include "tidegate/gateway/store.h"

namespace tidegate::detail {

/// @thread The commit leader.
class SegmentLog {
 public:
  explicit SegmentLog(GatewayStore& store) : store_(store) {}

  /// What a store gave back besides the state.
  struct Recovered {
    std::optional<GatewayMeta> meta;
    std::string clients;
  };
  /// Fills an empty state. @throws Error{storeUnavailable, storeCorrupt}
  Recovered load(BufferState& state, IngestBook& ingest);

  /// Writes what is staged, here and in `ingest`, `meta`, `clients` where given, and drops what nobody needs any more.
  /// @throws Error{storeUnavailable}; what the class knows is unchanged.
  /// @param clean whether rows of old segments may be carried along, so that those can go.
  void commit(BufferState& state, const Staging& staging, IngestBook& ingest, const GatewayMeta& meta,
              const std::optional<std::string>& clients, bool clean);
  /// A row's durable state stops counting as alive. Before the slot is dropped.
  void forget(const Slot& slot) noexcept;

  std::uint64_t firstRowsSegment() const noexcept { return firstRows_; }
  std::uint64_t lastRowsSegment() const noexcept { return nextRows_ - 1; }
  /// Whether a commit without anything staged would free something in the store.
  bool hasGarbage(const BufferState& state) const noexcept;
  std::size_t bytes() const noexcept;

 private:
  static constexpr std::uint64_t kMetaId = 1;
  static constexpr std::uint64_t kClientsId = 2;
  struct LogSegment {
    std::uint64_t id = 0;
    std::uint64_t lastHlc = 0;
  };
  struct SeenSegment {
    std::uint64_t id = 0;
    std::uint64_t generation = 0;
  };
  struct RowsSegment {
    std::uint64_t octets = 0;      ///< of all blocks written to it
    std::uint64_t liveOctets = 0;  ///< of blocks that are their row's newest durable state
    std::vector<std::uint32_t> slots;
  };

  void loadLog(SegmentRef ref, std::string_view payload, BufferState& state);
  void loadRows(SegmentRef ref, std::string_view payload, BufferState& state);
  void loadRow(SegmentRef ref, std::string_view octets, BufferState& state);
  void loadSeen(SegmentRef ref, std::string_view payload, BufferState& state);
  void finishLoad(BufferState& state, const GatewayMeta& meta);
  void dropPurgedRows(BufferState& state, NameId table, std::uint64_t lastRowsSegment);

  void chooseRowsToCarry(const BufferState& state, const Staging& staging, bool clean);
  void writeLog(const BufferState& state, const Staging& staging);
  void writeRows(const BufferState& state, const Staging& staging);
  void writeSeen(const Staging& staging);
  void put(SegmentKind kind, std::uint64_t id, const std::string& octets);
  void chooseDrops(const BufferState& state);
  void committed(BufferState& state, const Staging& staging);
  RowsSegment* rowsSegment(std::uint64_t id) noexcept;
  void settle(BufferState& state, std::uint32_t slot, std::size_t octets);

  GatewayStore& store_;
  std::deque<LogSegment> log_;
  std::deque<SeenSegment> seen_;
  std::deque<RowsSegment> rows_;  ///< ids firstRows_, firstRows_ + 1, …
  std::uint64_t firstRows_ = 1;
  std::uint64_t nextRows_ = 1;
  std::uint64_t nextSeen_ = 1;
  std::uint64_t rowsOctets_ = 0;
  std::uint64_t rowsLiveOctets_ = 0;
  std::size_t slotsKept_ = 0;  ///< entries of all `RowsSegment::slots`

  // One commit's work.
  std::vector<Segment> puts_;
  std::vector<SegmentRef> drops_;
  std::vector<std::uint32_t> carried_;
  std::size_t cleaned_ = 0;  ///< oldest rows segments that this commit drops
  std::string logOctets_, rowsSegmentOctets_, seenOctets_, metaOctets_, clientOctets_;
  NameSet names_;
  RowImage image_;
};

}  // namespace tidegate::detail
