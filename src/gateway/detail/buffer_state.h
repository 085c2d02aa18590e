/// Everything a gateway knows, without locks, clocks or stores: names, rows, log, dedupe window, tombstones.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/detail/dedupe_window.h"
#include "gateway/detail/log_chunks.h"
#include "gateway/detail/log_record.h"
#include "gateway/detail/name_table.h"
#include "gateway/detail/slot_table.h"
#include "tidegate/core/row.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

/// A tombstone that waits to be forgotten.
struct Tombstone {
  std::uint64_t at = 0;         ///< the head when it was written: who has pulled this far knows of it
  std::uint64_t stampedAt = 0;  ///< when, by the gateway's clock
  std::uint64_t sequence = 0;   ///< of the block: another one means the row has changed since
  std::uint32_t slot = 0;
};

/// A table's purge: entries up to `at` are not shown any more.
struct PurgedTable {
  NameId table = 0;
  std::uint64_t at = 0;               ///< serverHlc
  std::uint64_t lastRowsSegment = 0;  ///< rows in segments up to this one are gone
};

/// Older blocks that open snapshots still see.
class RetainedBlocks {
 public:
  RetainedBlocks() = default;
  RetainedBlocks(const RetainedBlocks&) = delete;
  RetainedBlocks& operator=(const RetainedBlocks&) = delete;
  ~RetainedBlocks();
  /// Registers a reader of everything published up to `sequence`.
  void open(std::uint64_t sequence) { readers_.insert(sequence); }
  void close(std::uint64_t sequence) noexcept;
  bool hasReaders() const noexcept { return !readers_.empty(); }
  bool wanted(const RowBlock& block) const noexcept {
    return !readers_.empty() && *readers_.rbegin() >= block.sequence;
  }
  /// Takes over a block that the publication `until` replaced.
  void keep(std::uint32_t slot, RowBlock* block, std::uint64_t until);
  /// The newest kept block of the slot that a reader of `sequence` may see; nullptr if there is none.
  const RowBlock* find(std::uint32_t slot, std::uint64_t sequence) const noexcept;
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  std::multiset<std::uint64_t> readers_;
  struct Kept {
    RowBlock* block = nullptr;
    std::uint64_t until = 0;  ///< readers from this publication on do not see it
  };
  std::unordered_map<std::uint32_t, std::vector<Kept>> blocks_;   ///< by slot, oldest first
  std::deque<std::pair<std::uint64_t, std::uint32_t>> replaced_;  ///< (until, slot) of each, in order
  std::size_t bytes_ = 0;
};

/// @thread One writer, or readers: the owner's lock.
struct BufferState {
  BufferState(std::size_t maxNames, std::size_t dedupeIds, std::uint64_t seed_)
      : seed(seed_), names(maxNames, seed_), dedupe(dedupeIds, seed_) {}

  const std::uint64_t seed;
  NameTable names;
  SlotTable slots;
  LogChunks log;
  DedupeWindow dedupe;
  RetainedBlocks retained;
  std::deque<Tombstone> tombstones;

  std::uint64_t sequence = 0;  ///< of the last publication
  std::uint64_t head = 0;      ///< the greatest serverHlc readers may pull from
  /// Views that snapshots at the head were taken of: the i-th got the stamp head + 1 + i, which nobody else
  /// ever holds. The commit that wrote the head left room for `snapshotRoom` of them.
  std::vector<std::string> snapshotViews;
  std::size_t snapshotRoom = 0;
  std::uint64_t trimmedTo = 0;  ///< serverHlc of the last entry that retention dropped
  std::size_t visibleRows = 0;
  std::size_t tombstoneRows = 0;
  std::size_t blockBytes = 0;  ///< committed, pending and retained blocks

  SyncRules rules;
  std::uint64_t rulesGeneration = 0;
  std::uint64_t rulesEpoch = 0;  ///< entries up to this serverHlc were judged by other rules
  std::vector<PurgedTable> purged;
  std::uint64_t resyncBefore = 0;  ///< a table was purged at this serverHlc, or the log begins after it
  std::uint64_t tombstonesPurgedTo = 0;
  std::uint64_t purgedStamp = 0;  ///< the greatest hlc of a purged erase
  std::uint64_t clockSeen = 0;    ///< at or after the stamps that rows hold

  std::uint64_t tableHash(std::string_view table) const noexcept { return seededHash(table, seed); }
  std::uint32_t findRow(std::string_view table, std::string_view rowId) const;
  /// The visible row, or nullopt.
  std::optional<Row> row(std::string_view table, std::string_view rowId) const;
  /// Whether the entry is of a table purged after it was written.
  bool isPurged(NameId table, std::uint64_t serverHlc) const noexcept;
  /// The rule columns of a table, as numbers; empty where no rule names any.
  const std::vector<NameId>& ruleColumns(NameId table);
  void setRules(SyncRules newRules);
  void moveHead(std::uint64_t to, std::size_t room);
  /// The stamp of a snapshot at the head: nullopt if there is no room for another view.
  std::optional<std::uint64_t> snapshotStamp(const std::string& view);

  /// Shows a slot's pending block to readers from `sequence` on.
  void publishSlot(std::uint32_t slot, std::uint64_t stampedAt);
  /// Takes back a slot's pending block.
  void undoSlot(std::uint32_t slot) noexcept;
  /// Removes a row altogether.
  void dropSlot(std::uint32_t slot) noexcept;

  std::size_t rowBytes() const noexcept;
  std::size_t bytes() const noexcept;

 private:
  void retire(std::uint32_t slot, RowBlock* block);
  std::unordered_map<NameId, std::vector<NameId>> ruleColumns_;
};

/// A visible row from its registers, its columns in the order they were first written.
Row toRow(const RowImage& image, const NameTable& names);

}  // namespace tidegate::detail
