/// Turns prepared pushes into pending blocks, staged log records and dedupe keys, which are then published or undone.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "gateway/detail/buffer_state.h"
#include "gateway/detail/entry_names.h"
#include "gateway/detail/log_entry.h"
#include "gateway/detail/name_set.h"
#include "gateway/detail/prepared_push.h"
#include "gateway/detail/row_merge.h"
#include "tidegate/core/hlc.h"

namespace tidegate::detail {

/// Counts of one push's verdicts live in its result; these are of the group.
/// @thread The owner's writer.
class Staging {
 public:
  /// @param collectNames whether `names` is wanted (by a store).
  Staging(BufferState& state, bool collectNames) : state_(state), merger_(state.names), collectNames_(collectNames) {}

  /// Merges a push into pending state, or refuses it whole and stages nothing of it.
  /// @param clock stamps the entries. @throws std::bad_alloc; then only `undo` may follow.
  void stage(PreparedPush& push, HlcClock& clock, PushResult& result);
  /// Stages what another gateway's group came to, as it stands: nothing is merged.
  /// @throws Error{storeCorrupt}, std::bad_alloc; then only `undo` may follow.
  void adopt(const EntryView& entry, const EntryNames& names, std::uint64_t sequence);
  /// Writes what is staged as sections of a shared log's entry.
  void write(EntryDraft& entry) const;
  /// Shows everything staged to readers.
  void publish();
  /// Forgets everything staged.
  void undo() noexcept;

  /// Slots with a pending block, each once.
  const std::vector<std::uint32_t>& touched() const noexcept { return touched_; }
  /// Every name that the pending blocks and staged records use.
  const NameSet& names() const noexcept { return names_; }
  const std::vector<SeenKey>& seen() const noexcept { return seen_; }
  /// serverHlc of the last staged entry; the published head if there is none.
  std::uint64_t head() const noexcept { return stagedHead_ != 0 ? stagedHead_ : state_.head; }
  bool empty() const noexcept { return touched_.empty() && seen_.empty() && stagedHead_ == 0; }

 private:
  struct FreeBlock {
    void operator()(RowBlock* block) const noexcept { freeBlock(block); }
  };
  using BlockOwner = std::unique_ptr<RowBlock, FreeBlock>;

  bool admit(const PreparedPush& push, PushResult& result) const;
  bool tooOld(const PreparedPush& push, PushResult& result) const;
  void makeRoom(PreparedPush& push);
  /// Asks for the lines of the delta at `reach`, and for what stands behind the lines asked for earlier.
  void prefetch(const PreparedPush& push, std::size_t reach);
  Verdict stageDelta(const PreparedPush& push, const PreparedDelta& delta);
  /// Whether the delta makes a row of which nothing is known and nothing must be compared: the usual first reading.
  bool makesFreshRow(const PreparedDelta& delta, std::uint32_t slot) const;
  Verdict stageFresh(const PreparedPush& push, const PreparedDelta& delta, NameId table);
  void gather(const PreparedPush& push, const PreparedDelta& delta);
  void readBefore(const PreparedPush& push, const PreparedDelta& delta, std::uint32_t slot, NameId table);
  void beginRow(const PreparedPush& push, const PreparedDelta& delta, NameId table);
  /// @return the pending block that it replaced, if any.
  BlockOwner setPending(std::uint64_t rowHash, std::uint32_t slot, BlockOwner fresh);
  void adoptRows(std::string_view payload, const EntryNames& names);
  void adoptRecords(std::string_view payload, const EntryNames& names, std::uint64_t sequence);
  void adoptSeen(std::string_view payload, std::uint64_t sequence);
  void append(const PreparedDelta& delta, const Incoming& incoming);
  void appendInsert(const PreparedDelta& delta, const Incoming& incoming);
  void appendUpdate(const PreparedDelta& delta, const Incoming& incoming);
  void appendErase(const PreparedDelta& delta, const Incoming& incoming, bool paired);
  void write(RecordDraft& draft);
  void rulesAfter();
  void contextOfUpdate();

  BufferState& state_;
  RowMerger merger_;
  const bool collectNames_;
  NameSet names_;
  std::vector<std::uint32_t> touched_;
  std::vector<SeenKey> seen_;
  std::uint64_t stagedHead_ = 0;
  std::uint64_t nextStamp_ = 0;
  /// Deltas between asking for an index line, for the slot it names, and for that slot's block.
  static constexpr std::size_t kPrefetchStep = 8;
  std::array<std::uint32_t, kPrefetchStep> candidates_{};  ///< slots asked for, whose blocks are next
  // Scratch of one delta.
  RowImage row_;
  MergeOutcome outcome_;
  std::vector<IncomingColumn> incoming_;
  std::vector<IncomingColumn> effective_;
  RuleSection rules_;
  const std::vector<NameId>* ruleColumns_ = nullptr;
  std::string scratch_;
  RecordView record_;  ///< of an adopted entry
};

}  // namespace tidegate::detail
