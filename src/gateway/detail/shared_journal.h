/// A gateway's place in a shared log: what it has applied, and what it appends.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "gateway/detail/log_entry.h"
#include "tidegate/gateway/shared_log.h"

namespace tidegate::detail {

/// @thread The commit leader.
class SharedJournal {
 public:
  explicit SharedJournal(std::shared_ptr<SharedLog> log);

  SharedLog& log() const noexcept { return *log_; }
  /// The sequence of the last entry applied.
  std::uint64_t position() const noexcept { return position_; }
  void moveTo(std::uint64_t sequence) noexcept { position_ = sequence; }

  /// An entry to fill; its number is new.
  EntryDraft& begin();
  /// Whether an entry is the one begun last.
  bool isOwn(const EntryWriterId& writer) const noexcept { return writer == id_; }

  using Apply = std::function<void(const EntryView& entry, std::uint64_t sequence)>;
  /// Applies what follows `position`, which moves with it. @throws what `SharedLog::read` and `apply` throw.
  void readOn(const Apply& apply);
  /// Appends the entry begun last and reads until it is known what became of it: where it was written, `apply` has met
  /// it, and all else that came before or after.
  /// @return whether it was written.
  /// @throws Error{storeUnavailable}; with Retry::outcomeUnknown it may turn up in a later `readOn`.
  bool append(const Apply& apply);

  std::size_t bytes() const noexcept { return draft_.bytes(); }

 private:
  std::optional<std::uint64_t> tryAppend(std::uint64_t last, std::string_view octets, bool& unknown);

  const std::shared_ptr<SharedLog> log_;
  EntryWriterId id_;
  std::uint64_t position_ = 0;
  EntryDraft draft_;
  EntryView view_;
};

}  // namespace tidegate::detail
