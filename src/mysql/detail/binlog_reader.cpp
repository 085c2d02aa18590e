#include "mysql/detail/binlog_reader.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "mysql/detail/octet_cursor.h"
#include "mysql/detail/transaction_payload.h"
#include "mysql/detail/xa_id.h"

namespace tidegate::mysql::detail {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// The clock is read after this many events at the latest: far less than any interval even for large rows.
constexpr std::uint32_t kEventsPerClock = 256;
/// So many events without a wait are a burst, and a burst's next events are waited for so long.
constexpr std::uint32_t kBurst = 64;
constexpr timespec kNap{.tv_sec = 0, .tv_nsec = 50'000};
/// Between two offers of a batch that was declined: a handler may decline without having waited.
constexpr milliseconds kBreath{1};
/// A stream that goes on without any change for us says so this often.
constexpr std::chrono::seconds kProgressInterval{1};
constexpr std::uint16_t kArtificial = 0x20;
/// A baseline beside the stream is looked after so often, in events and where none come.
constexpr std::uint32_t kEventsPerRows = 64;
constexpr milliseconds kRowsWait{10};

void waitFor(const tidegate::detail::WakeUp& wake, milliseconds wait) {
  pollfd polled{wake.descriptor(), POLLIN, 0};
  ::poll(&polled, 1, static_cast<int>(wait.count()));
}

/// Offsets past 4 GiB are sent without their upper half. What events add up to may be some octets off, and an event has
/// less than 1 GiB.
std::uint64_t offsetNear(std::uint64_t about, std::uint32_t sent) {
  constexpr std::uint64_t kUpper = std::uint64_t{1} << 32, kSlack = std::uint64_t{1} << 30;
  const std::uint64_t offset = (about & ~std::uint64_t{UINT32_MAX}) | sent;
  if (offset + kSlack < about) return offset + kUpper;
  return offset >= kUpper && offset > about + (kUpper - kSlack) ? offset - kUpper : offset;
}

}  // namespace

BinlogReader::BinlogReader(SourceCore& core, const ChangeHandler& handler, BinlogTables& tables, RowChanges::Fill fill,
                           Hooks hooks, ChunkedBaseline* chunks)
    : core_(core),
      chunks_(chunks),
      tables_(tables),
      hooks_(std::move(hooks)),
      delivery_(
          handler, [this] { breathe(); }, core.options.batchEvents),
      changes_(delivery_, tables, std::move(fill)) {}

void BinlogReader::restart(const Position& from) {
  from_ = placeOf(from);
  if (chunks_ != nullptr) chunks_->restart(from_);
  core_.streamServer = 0;
  delivery_.restart(from, chunks_);
  format_ = {};
  tables_.restart(format_.mariaDb);
  border_ = from_.restart ? *from_.restart : from_.before;
  file_ = border_.byFile() ? border_.file.number : 0;
  offset_ = border_.byFile() ? border_.file.offset : 0;
  inGroup_ = skip_ = preparing_ = deciding_ = quiet_ = false;
  prepared_.clear();
  preparedBytes_ = 0;
}

void BinlogReader::run(BinlogLink& link, const Position& from, std::stop_token stop) {
  link_ = &link;
  stop_ = std::move(stop);
  restart(from);
  const Micros now = core_.clock->steadyNow();
  lastProgress_ = now;
  lastMonitor_ = now - core_.options.monitorInterval;  // the first at once
  for (;;) step();
}

void BinlogReader::step() {
  if (stop_.stop_requested()) throw StreamStopped{};
  if (core_.paused) return whilePaused();
  milliseconds wait{0};
  if (!link_->cached()) wait = untilNextDuty(core_.clock->steadyNow());
  if (readsRows()) wait = tookRows_ || chunks_->hasMore() ? milliseconds(0) : std::min(wait, kRowsWait);
  tookRows_ = false;
  auto octets = link_->next(core_.wake, wait, readsRows() ? std::optional(chunks_->socket()) : std::nullopt);
  if (!octets) {
    core_.wake.clear();
    checkSilence();
    return drained();
  }
  quiet_ = false;
  for (;;) {
    ++burst_;
    take(*octets);
    if (++sinceRows_ >= kEventsPerRows) interleave();
    if (++sinceClock_ >= kEventsPerClock) keepUp(core_.clock->steadyNow());
    if (sinceClock_ == 0 || !link_->cached()) break;
    octets = link_->read();
  }
  if (!link_->hasMore() && !burstGoesOn()) drained();
}

/// Looks once more after a nap, where many events came at once. So a stream that is as fast as its server is handed
/// over in larger parts; and a thread that naps wakes on its own core, not on the one of the server that writes to it.
bool BinlogReader::burstGoesOn() {
  if (std::exchange(burst_, 0) < kBurst || readsRows()) return false;
  pollfd polled{core_.wake.descriptor(), POLLIN, 0};
  ::ppoll(&polled, 1, &kNap, nullptr);
  return link_->hasMore();
}

/// Heartbeats come even where nothing else does.
void BinlogReader::checkSilence() {
  const Micros now = core_.clock->steadyNow();
  if (!quiet_) quietSince_ = now;
  quiet_ = true;
  if (now - quietSince_ < core_.silence()) return;
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("the server has sent nothing for {} ms, not even a heartbeat", core_.silence().count()));
}

/// Rows of a baseline, between two transactions.
void BinlogReader::interleave() {
  sinceRows_ = 0;
  if (!readsRows()) return;
  if (inGroup_) return chunks_->tend();
  tookRows_ = delivery_.interleave(placeNow(), {file_, offset_},
                                   [this](const ChangeEvent& change) { tables_.forget(change.shape->schema.table); });
}

/// Nothing is left to read: hand over what there is.
void BinlogReader::drained() {
  interleave();
  delivery_.flush();
  keepUp(core_.clock->steadyNow());
}

void BinlogReader::whilePaused() {
  quiet_ = false;  // nobody listens meanwhile
  hooks_.enterPaused();
  while (core_.paused) {
    if (stop_.stop_requested()) throw StreamStopped{};
    const Micros now = core_.clock->steadyNow();
    if (readsRows()) chunks_->tend();
    keepUp(now);
    const bool reading = readsRows() && chunks_->socket() >= 0;
    waitFor(core_.wake, reading ? kRowsWait : untilNextDuty(now));
    core_.wake.clear();
  }
  hooks_.leavePaused();
}

void BinlogReader::breathe() {
  quiet_ = false;
  if (stop_.stop_requested()) throw StreamStopped{};
  if (core_.paused) whilePaused();
  if (readsRows()) chunks_->tend();
  keepUp(core_.clock->steadyNow());
  waitFor(core_.wake, kBreath);
  core_.wake.clear();
}

milliseconds BinlogReader::untilNextDuty(Micros now) const {
  const Micros next = std::min(lastMonitor_ + core_.options.monitorInterval, lastProgress_ + kProgressInterval);
  return std::max(milliseconds(0), duration_cast<milliseconds>(next - now)) + milliseconds(1);
}

void BinlogReader::keepUp(Micros now) {
  sinceClock_ = 0;
  if (!delivery_.inHand() && file_ != 0) {
    core_.reachedFile = file_;
    core_.reachedOffset = offset_;
    core_.lastCommitMicros = delivery_.lastCommitMicros();
  }
  if (delivery_.eventsTaken() != takenBefore_) {
    takenBefore_ = delivery_.eventsTaken();
    hooks_.worked();
  }
  if (now - lastMonitor_ >= core_.options.monitorInterval) {
    lastMonitor_ = now;
    hooks_.monitor();
  }
  if (now - lastProgress_ < kProgressInterval) return;
  lastProgress_ = now;
  if (!inGroup_ && !delivery_.inHand() && !core_.paused) delivery_.progress(placeNow());
}

std::optional<Border> BinlogReader::restartBorder() const {
  const Border* first = nullptr;
  for (const auto& [xid, prepared] : prepared_) {
    if (first == nullptr || compareBorders(prepared.before, *first) == std::partial_ordering::less) {
      first = &prepared.before;
    }
  }
  return first == nullptr ? std::nullopt : std::optional(*first);
}

Place BinlogReader::placeNow() const {
  return {.before = border_,
          .restart = restartBorder(),
          .baseline = chunks_ != nullptr ? chunks_->progress() : std::string()};
}

void BinlogReader::take(std::string_view octets) {
  const BinlogEvent event = readEvent(octets, format_);
  const bool inFile = event.end != 0 && (event.flags & kArtificial) == 0;
  const std::uint64_t before = offset_;
  if (inFile) {
    offset_ = offsetNear(offset_, event.end);
  } else if (inGroup_ && (event.flags & kArtificial) == 0) {
    offset_ += event.size;  // MariaDB from 11.7 on says none within a transaction
  }
  if (border_.byFile() && !inGroup_) border_.file.offset = event.type == EventType::heartbeat ? offset_ : before;
  dispatch(event);
}

void BinlogReader::dispatch(const BinlogEvent& event) {
  switch (event.type) {
    case EventType::formatDescription:
      format_ = readFormat(event);
      return tables_.restart(format_.mariaDb);
    case EventType::rotate:
      return rotate(event);
    case EventType::mariaGtid:
      return gtid(event);
    case EventType::mysqlGtid:
    case EventType::mysqlTaggedGtid:
    case EventType::anonymousGtid:
      return mySqlGtid(event);
    case EventType::query:
    case EventType::queryCompressed:
      return query(event);
    case EventType::xid:
      return close();
    case EventType::xaPrepare:
      return prepared(event.body.starts_with('\x01'));
    case EventType::transactionPayload:
      return payload(event);
    case EventType::incident:
      throw Error(ErrorCode::positionLost, Retry::afterOperator,
                  "the server logged an incident: changes are missing from its binlog; a new baseline is needed");
    default:
      if (event.type == EventType::tableMap || isRows(event.type)) rowEvent(event);
  }
}

void BinlogReader::rotate(const BinlogEvent& event) {
  const RotateEvent to = readRotate(event);
  if (event.end == 0) core_.streamServer = event.server;  // made up by the server itself
  if (inGroup_) refuseOctets("a transaction does not end with its file");
  file_ = fileNumberOf(to.file);
  offset_ = to.offset;
  if (!border_.byFile()) return;
  border_.file.number = file_;
  border_.file.offset = offset_;
}

void BinlogReader::open(const BinlogEvent& event) {
  inGroup_ = true;
  sawBegin_ = preparing_ = deciding_ = halfAltered_ = false;
  xid_.clear();
  const bool done = border_.byFile() ? compareBorders(border_, from_.before) == std::partial_ordering::less
                                     : from_.before.has(current_);
  skip_ = done;
  if (skip_) return;
  Place place = placeNow();
  if (!border_.byFile()) place.current = current_;
  delivery_.begin(
      {.place = std::move(place), .commitMicros = std::int64_t{event.timestamp} * 1'000'000, .id = current_.sequence});
}

void BinlogReader::mySqlGtid(const BinlogEvent& event) {
  if (inGroup_) refuseOctets("a transaction begins within another");
  current_ = {};
  const bool anonymous = event.type == EventType::anonymousGtid;
  if (!anonymous) current_ = readMySqlGtid(event);
  if (border_.by != BorderBy::sources) return open(event);
  if (anonymous) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "a transaction has no GTID, so positions cannot name it; a new baseline is needed. Mend it with: SET "
                "GLOBAL gtid_mode = ON, or use PositionBy::file");
  }
  open(event);
}

void BinlogReader::gtid(const BinlogEvent& event) {
  if (inGroup_) refuseOctets("a transaction begins within another");
  const MariaGtidEvent head = readMariaGtid(event);
  current_ = head.gtid;
  if (!border_.byFile() && head.gtid.sequence <= border_.gtids.sequenceOf(head.gtid.domain)) {
    throw Error(
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format("GTID {} comes after {}: two servers write one domain, and positions cannot be told apart. A "
                    "new baseline is needed; mend it with: SET GLOBAL gtid_strict_mode = ON",
                    gtidToText(head.gtid), gtidStateToText(border_.gtids)));
  }
  open(event);
  sawBegin_ = !head.standalone;
  preparing_ = head.prepares;
  deciding_ = head.completes;
  halfAltered_ = head.halfAltered;
  if (preparing_ || deciding_) xid_ = xaIdOf(event);
  if (preparing_) prepared_[xid_] = {border_, {}};
}

void BinlogReader::close() {
  if (!inGroup_) refuseOctets("a transaction ends that did not begin");
  inGroup_ = false;
  if (border_.byFile()) {
    border_.file.number = file_;
    border_.file.offset = offset_;
  } else {
    border_.pass(current_);
  }
  if (!skip_) delivery_.commit(placeNow(), {file_, offset_});
}

/// @param onePhase it is committed by the same event.
void BinlogReader::prepared(bool onePhase) {
  if (xid_.empty()) refuseOctets("an XA transaction is prepared without its id");
  if (onePhase) decide(true);
  close();
}

void BinlogReader::decide(bool commit) {
  const auto at = prepared_.find(xid_);
  if (at != prepared_.end()) {
    const PreparedXa xa = std::move(at->second);
    prepared_.erase(at);
    for (const std::string& octets : xa.events) preparedBytes_ -= octets.size();
    if (!commit || skip_) return;
    for (const std::string& octets : xa.events) {
      std::string_view rest = octets;
      const BinlogEvent event = takeNestedEvent(rest);
      if (event.type == EventType::tableMap)
        tables_.take(event);
      else
        changes_.take(event);
    }
    return;
  }
  if (!commit || skip_) return;
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              fmt::format("XA transaction {} was prepared before the stream began, and its rows are not known; a new "
                          "baseline is needed",
                          xid_));
}

void BinlogReader::query(const BinlogEvent& event) {
  const QueryEvent query = readQuery(event, inflated_);
  const LoggedStatement statement = readStatement(query.statement, query.database);
  if (!inGroup_) {
    if (statement.kind == StatementKind::other) return;  // e.g. what stands in the place of an event unknown to us
    if (!border_.byFile()) refuseOctets("a statement stands outside of a transaction");
    current_ = {};
    open(event);
  }
  switch (statement.kind) {
    case StatementKind::begin:
      sawBegin_ = true;
      return;
    case StatementKind::inTransaction:
    case StatementKind::xaEnd:
      return;
    case StatementKind::xaStart:
      sawBegin_ = true;
      xid_ = statement.xid;
      preparing_ = true;
      prepared_[xid_] = {border_, {}};
      return;
    case StatementKind::commit:
      return close();
    case StatementKind::rollback:
      if (!skip_) delivery_.rollBack();
      if (!skip_) delivery_.begin({.place = {.before = border_, .current = current_}});
      return close();
    case StatementKind::xaCommit:
    case StatementKind::xaRollback:
      if (xid_.empty()) xid_ = statement.xid;
      decide(statement.kind == StatementKind::xaCommit);
      return close();
    default:
      break;
  }
  if (!skip_ && !halfAltered_) definition(statement);
  if (!sawBegin_) close();
}

void BinlogReader::payload(const BinlogEvent& event) {
  if (!inGroup_) refuseOctets("a transaction's payload stands outside of it");
  TransactionPayload inner(event.body);
  while (const std::optional<BinlogEvent> next = inner.next()) {
    if (next->type == EventType::transactionPayload) refuseOctets("a payload holds another");
    dispatch(*next);
  }
}

void BinlogReader::rowEvent(const BinlogEvent& event) {
  if (!inGroup_) refuseOctets("rows stand outside of a transaction");
  if (preparing_) {
    // Table ids are good until their statement ends; names and rows are kept as they came.
    std::string octets;
    copyEvent(event, octets);
    preparedBytes_ += octets.size();
    if (preparedBytes_ > core_.options.preparedMemoryBytes) {
      throw Error(
          ErrorCode::queryFailed, Retry::afterOperator,
          fmt::format("XA transactions that are prepared and not decided hold more than preparedMemoryBytes = {}: "
                      "decide them (XA RECOVER lists them), or raise it",
                      core_.options.preparedMemoryBytes));
    }
    prepared_[xid_].events.push_back(std::move(octets));
    return;
  }
  if (skip_) return;
  if (event.type == EventType::tableMap)
    tables_.take(event);
  else
    changes_.take(event);
}

}  // namespace tidegate::mysql::detail
