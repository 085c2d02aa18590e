#include "gateway/detail/shared_journal.h"

#include <fmt/format.h>

#include <utility>

#include "gateway/detail/seeded_hash.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {
constexpr int kAppendTries = 3;

Error inDoubt(const std::string& why) {
  return {ErrorCode::storeUnavailable, Retry::outcomeUnknown,
          "the shared log did not say whether it took an entry: " + why +
              "; send the push again, what was written already changes nothing"};
}

}  // namespace

SharedJournal::SharedJournal(std::shared_ptr<SharedLog> log) : log_(std::move(log)) {
  id_.high = randomSeed();
  id_.low = randomSeed();
}

EntryDraft& SharedJournal::begin() {
  ++id_.number;
  draft_.shrink();
  draft_.begin(id_);
  return draft_;
}

/// Two readers may have been given two entries at one place; the next one rests on one of them, and shows it to the
/// other.
void SharedJournal::requireFollows(const EntryView& entry, std::uint64_t sequence) {
  const auto after = entry.after();
  if (!after || !checksum_ || *after == *checksum_) return;
  diverged_ = Error(
      ErrorCode::logDiverged, Retry::afterOperator,
      fmt::format(
          "the shared log has two histories: its entry {} follows another entry than number {}, which this gateway "
          "applied before it. The log's servers gave out two different entries at one place, or lost entries that "
          "they had acknowledged. The gateway has stopped and applied nothing of it: open it again, from the newest "
          "snapshot. If it stops there too, the servers' replicas differ, or a gateway that goes on wrote the "
          "snapshot from another history: see docs/cluster.md, \"Two histories\"",
          sequence, position_));
  hasDiverged_.store(true, std::memory_order_release);
  requireOneHistory();
}

void SharedJournal::take(const Apply& apply, std::string_view octets, std::uint64_t sequence) {
  view_.read(octets, sequence);
  requireFollows(view_, sequence);
  const std::uint64_t checksum = view_.checksum;
  apply(view_, sequence);
  position_ = sequence;
  checksum_ = checksum;
}

void SharedJournal::readOn(const Apply& apply) {
  requireOneHistory();
  log_->read(position_, [&](std::uint64_t sequence, std::string_view octets) { take(apply, octets, sequence); });
}

bool SharedJournal::append(const Apply& apply) {
  requireOneHistory();
  if (checksum_) draft_.follow(*checksum_);
  const std::string_view octets = draft_.finish();
  const std::uint64_t before = position_;
  bool met = false, unknown = false;
  const Apply watch = [&](const EntryView& entry, std::uint64_t sequence) {
    apply(entry, sequence);
    met = met || isOwn(entry.writer);
  };
  for (int tries = 1;; ++tries) {
    try {
      if (const auto sequence = tryAppend(before, octets, unknown)) {
        take(apply, octets, *sequence);
        return true;
      }
      // Either others wrote, or nobody knows. Whoever's entry follows settles it: at most one ever does.
      readOn(watch);
    } catch (const Error& error) {
      if (met) return true;  // what came after it will be met again
      if (position_ != before || !unknown || error.code() != ErrorCode::storeUnavailable) throw;
      throw inDoubt(error.message());
    }
    if (position_ != before) return met;
    if (tries < kAppendTries) continue;
    if (unknown) throw inDoubt("it holds no entry after the last one yet");
    throw Error(ErrorCode::storeUnavailable, Retry::later,
                "the shared log refuses entries and shows none that is new; look after its servers");
  }
}

/// @return the sequence; nullopt where it is not known to be written, and `unknown` where it may be.
std::optional<std::uint64_t> SharedJournal::tryAppend(std::uint64_t last, std::string_view octets, bool& unknown) {
  try {
    return log_->append(last, octets);
  } catch (const Error& error) {
    if (error.retry() != Retry::outcomeUnknown) throw;
  } catch (const std::exception&) {
    // A log that throws anything else has not promised that nothing happened.
  }
  unknown = true;
  return std::nullopt;
}

}  // namespace tidegate::detail
