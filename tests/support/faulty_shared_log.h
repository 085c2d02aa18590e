/// A SharedLog that fails at chosen appends and reads, and whose wakes come when the test says so.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "tidegate/core/error.h"
#include "tidegate/gateway/shared_log.h"

namespace tidegate::test {

/// What an append does.
enum class AppendFault {
  none,
  refused,     ///< nothing was written: Retry::later
  answerLost,  ///< it was written, and the writer is told that nobody knows
  lost,        ///< nothing was written, and the writer is told that nobody knows
  late         ///< not written yet: it may be, at `land`; the writer is told that nobody knows
};

/// What is under way in the network, whichever gateway sent it: at most one entry.
struct LateEntry {
  std::uint64_t last = 0;
  std::string octets;
};

/// @thread As SharedLog.
class FaultySharedLog final : public SharedLog {
 public:
  using Plan = std::function<AppendFault()>;
  explicit FaultySharedLog(std::shared_ptr<SharedLog> log, Plan plan = {})
      : log_(std::move(log)), plan_(std::move(plan)) {}

  std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets) override {
    const AppendFault fault = plan_ ? plan_() : AppendFault::none;
    if (fault == AppendFault::refused) fail(Retry::later);
    if (fault == AppendFault::late) late_ = LateEntry{last, std::string(octets)};
    if (fault == AppendFault::late || fault == AppendFault::lost) fail(Retry::outcomeUnknown);
    const auto sequence = log_->append(last, octets);
    if (fault == AppendFault::answerLost) fail(Retry::outcomeUnknown);
    return sequence;
  }
  std::uint64_t read(std::uint64_t after, const Visitor& visit) override { return log_->read(after, visit); }
  void onEntries(std::function<void()> wake) override { wake_ = std::move(wake); }
  void putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) override {
    log_->putSnapshot(sequence, next);
  }
  std::optional<std::uint64_t> readSnapshot(const std::function<void(std::string_view chunk)>& chunk) override {
    return log_->readSnapshot(chunk);
  }
  void trim(std::uint64_t sequence) override { log_->trim(sequence); }

  /// Tells the gateway that there may be entries.
  void wake() {
    if (wake_) wake_();
  }
  /// An append whose outcome nobody knew arrives after all, if its place is still free. @return whether it did.
  bool land() {
    if (!late_) return false;
    const auto entry = *std::exchange(late_, std::nullopt);
    return log_->append(entry.last, entry.octets).has_value();
  }

 private:
  [[noreturn]] static void fail(Retry retry) {
    throw Error(ErrorCode::storeUnavailable, retry, "the network is broken; mend it");
  }

  std::shared_ptr<SharedLog> log_;
  Plan plan_;
  std::function<void()> wake_;
  std::optional<LateEntry> late_;
};

}  // namespace tidegate::test
