/// A gateway's place in a shared log: what it has applied, and what it appends.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/detail/log_entry.h"
#include "tidegate/core/error.h"
#include "tidegate/gateway/shared_log.h"

namespace tidegate::detail {

/// Each entry names the checksum of the one before it, which covers what that one names: so an entry stands for the
/// whole history that its writer had applied. One that rests on another history than ours ends this journal for good
/// (decision 35).
/// @thread The commit leader.
class SharedJournal {
 public:
  explicit SharedJournal(std::shared_ptr<SharedLog> log);

  SharedLog& log() const noexcept { return *log_; }
  /// The sequence of the last entry applied.
  std::uint64_t position() const noexcept { return position_; }
  /// @param checksum of the entry there; nullopt: not known, then what follows is taken as it is.
  void moveTo(std::uint64_t sequence, std::optional<std::uint64_t> checksum) noexcept {
    position_ = sequence;
    checksum_ = checksum;
  }
  /// Of the last entry applied; 0 before the first.
  std::optional<std::uint64_t> checksum() const noexcept { return checksum_; }
  /// @throws Error{logDiverged} once an entry was met that rests on another history.
  /// @thread Any.
  void requireOneHistory() const {
    if (hasDiverged_.load(std::memory_order_acquire)) throw Error(*diverged_);
  }

  /// An entry to fill; its number is new.
  EntryDraft& begin();
  /// Whether an entry is the one begun last.
  bool isOwn(const EntryWriterId& writer) const noexcept { return writer == id_; }

  using Apply = std::function<void(const EntryView& entry, std::uint64_t sequence)>;
  /// Applies what follows `position`, which moves with it.
  /// @throws Error{logDiverged}; what `SharedLog::read` and `apply` throw.
  void readOn(const Apply& apply);
  /// Appends the entry begun last and reads until it is known what became of it: where it was written, `apply` has met
  /// it, and all else that came before or after.
  /// @return whether it was written.
  /// @throws Error{logDiverged}; Error{storeUnavailable}; with Retry::outcomeUnknown it may turn up in a later
  /// `readOn`.
  bool append(const Apply& apply);

  std::size_t bytes() const noexcept { return draft_.bytes(); }

 private:
  void requireFollows(const EntryView& entry, std::uint64_t sequence);
  void take(const Apply& apply, std::string_view octets, std::uint64_t sequence);
  std::optional<std::uint64_t> tryAppend(std::uint64_t last, std::string_view octets, bool& unknown);

  const std::shared_ptr<SharedLog> log_;
  EntryWriterId id_;
  std::uint64_t position_ = 0;
  std::optional<std::uint64_t> checksum_ = 0;
  std::optional<Error> diverged_;  ///< set once, before `hasDiverged_`
  std::atomic<bool> hasDiverged_{false};
  EntryDraft draft_;
  EntryView view_;
};

}  // namespace tidegate::detail
