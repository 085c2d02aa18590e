#include "nats/detail/entry_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "nats/detail/unit_reader.h"

namespace tidegate::nats::detail {
namespace {

constexpr std::size_t kMostEntryPart = 512u << 10;
constexpr std::size_t kEntryHeaders = 2u << 10;
constexpr std::chrono::milliseconds kEntryLook{500};
/// How long the parts of an entry are given time to be followed by the others, before ours take their place.
constexpr std::chrono::milliseconds kPartsPause{20};
constexpr int kMostPartsPauses = 50;
/// A reader that brings this many messages that nobody wants is let go of.
constexpr std::uint64_t kMostSkipped = 256;

std::string randomWriter() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

}  // namespace

EntryLog::EntryLog(JetStream& js, std::string stream, std::string subject)
    : js_(js),
      stream_(std::move(stream)),
      subject_(std::move(subject)),
      writer_(randomWriter()),
      partBytes_(std::min(kMostEntryPart,
                          js.connection().maxPayload() - std::min(js.connection().maxPayload() / 2, kEntryHeaders))),
      log_(js, stream_, {}, 0) {}

void EntryLog::makeParts(std::string_view octets, std::vector<OutMessage>& parts) {
  appendParts({.subject = subject_, .mark = fmt::format("{}.{}", writer_, ++number_), .body = std::string(octets)},
              partBytes_, parts);
}

EntryLog::Tail EntryLog::lookBehind() {
  const StreamInfo info = js_.info(stream_);
  if (info.lastSequence < seen_) return Tail::otherLog;
  if (info.lastSequence == seen_) return seen_ == entry_ ? Tail::unchanged : Tail::orphans;
  // What was let go of was let go of as part of an entry.
  if (info.firstSequence > seen_ + 1) return Tail::otherLog;
  Tail found = seen_ == entry_ ? Tail::unchanged : Tail::orphans;
  while (seen_ < info.lastSequence) {
    const auto stored = js_.get(stream_, seen_ + 1);
    if (!stored) return Tail::otherLog;
    ++seen_;
    PartOf part;
    if (partFrom(stored->header(kPartHeader), part) && part.number < part.count) {
      if (found != Tail::entry) found = Tail::orphans;
      continue;
    }
    entry_ = seen_;
    found = Tail::entry;
  }
  return found;
}

EntryLog::Tail EntryLog::lookAhead() {
  try {
    if (!reader_ || reader_->sequence() > seen_ || reader_->sequence() + kMostSkipped < seen_) return Tail::unchanged;
    for (;;) {
      Msg msg = reader_->next(kEntryLook);
      if (!msg) return Tail::unchanged;
      if (reader_->sequence() <= seen_) continue;  // mostly our own
      PartOf part;
      const bool whole = !partFrom(headerOf(msg.get(), kPartHeader), part) || part.number == part.count;
      seen_ = reader_->sequence();
      ahead_.emplace_back(seen_, std::move(msg));
      if (!whole) continue;
      entry_ = seen_;
      return Tail::entry;
    }
  } catch (const Error&) {  // who reads makes another one
    forgetReader();
    return Tail::unchanged;
  }
}

EntryLog::Tail EntryLog::awaitEnd() {
  if (lookAhead() == Tail::entry) return Tail::entry;
  Tail tail = lookBehind();
  for (int i = 0; tail == Tail::orphans && i < kMostPartsPauses; ++i) {
    const std::uint64_t before = seen_;
    js_.connection().scheduler().waitFor(kPartsPause, {});
    tail = lookBehind();
    if (seen_ != before) i = 0;  // it gets on
  }
  return tail;
}

std::optional<std::uint64_t> EntryLog::append(std::uint64_t last, std::string_view octets) {
  if (octets.empty()) throw Error(ErrorCode::invalidArgument, Retry::never, "an entry of the shared log is empty");
  if (last < entry_) return std::nullopt;
  if (last > entry_) {  // the caller knows from a snapshot
    if (js_.info(stream_).lastSequence < last) return std::nullopt;
    entry_ = seen_ = last;
  }
  std::vector<OutMessage> parts;
  makeParts(octets, parts);
  for (;;) {
    log_.setLast(seen_);
    std::vector<Place> places;
    try {
      log_.append(parts, places, Order::single, {});
      entry_ = seen_ = places.back().sequence;
      return entry_;
    } catch (const ForeignWrite&) {
      if (awaitEnd() == Tail::entry || entry_ != last) return std::nullopt;
      if (seen_ == last && js_.info(stream_).lastSequence != last) return std::nullopt;
      parts.clear();
      makeParts(octets, parts);
    }
  }
}

void EntryLog::refuseTrimmed(std::uint64_t after) const {
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              fmt::format("the shared log \"{}\" no longer has what follows entry {}: start from its snapshot", stream_,
                          after));
}

std::uint64_t EntryLog::read(std::uint64_t after, const Visitor& visit) {
  const StreamInfo info = js_.info(stream_);
  if (after + 1 < info.firstSequence) refuseTrimmed(after);
  std::uint64_t last = after;
  bool visiting = false;
  const Visitor watched = [&](std::uint64_t sequence, std::string_view octets) {
    visiting = true;
    visit(sequence, octets);
    visiting = false;
  };
  auto since = js_.connection().clock().steadyNow();
  for (unsigned tries = 0;; ++tries) {
    const std::uint64_t from = last;
    try {
      readTo(info.lastSequence, from, watched, last);
      return last;
    } catch (const Error& e) {
      forgetReader();
      if (last != from) {
        since = js_.connection().clock().steadyNow();
        tries = 0;
      }
      const bool again = !visiting && e.code() == ErrorCode::connectionFailed && e.retry() == Retry::later;
      if (!again || !js_.connection().waitForRetry(since, tries, {})) throw;
    } catch (...) {
      forgetReader();
      throw;
    }
  }
}

void EntryLog::forgetReader() noexcept {
  ahead_.clear();
  reader_.reset();
}

Msg EntryLog::nextAfter(std::uint64_t& at) {
  while (!ahead_.empty()) {
    auto [sequence, msg] = std::move(ahead_.front());
    ahead_.pop_front();
    if (sequence <= at) continue;
    at = sequence;
    return std::move(msg);
  }
  if (!reader_) reader_ = std::make_unique<LogReader>(js_, stream_, at);
  Msg msg = reader_->next(kEntryLook);
  if (!msg && js_.info(stream_).firstSequence > at + 1) refuseTrimmed(at);
  if (!msg || reader_->sequence() <= at) return nullptr;
  at = reader_->sequence();
  return msg;
}

void EntryLog::readTo(std::uint64_t end, std::uint64_t after, const Visitor& visit, std::uint64_t& last) {
  const std::uint64_t next = !ahead_.empty() ? ahead_.front().first - 1 : reader_ ? reader_->sequence() : after;
  if (next > after || next + kMostSkipped < after) forgetReader();
  PartJoiner joiner;
  std::uint64_t at = after;
  while (at < end || !ahead_.empty()) {
    const Msg msg = nextAfter(at);
    if (!msg) continue;
    // What stands before the first part that is seen is the end of what came before `after`.
    const auto octets = joiner.take(msg.get(), stream_);
    if (octets) last = at;
    if (at > seen_) {
      seen_ = at;
      if (octets) entry_ = at;
    }
    if (octets) visit(at, *octets);
  }
}

}  // namespace tidegate::nats::detail
