#include "postgres/detail/stream_reader.h"

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

/// The clock is read after this many messages at the latest: far less than any interval even for large rows.
constexpr std::uint32_t kMessagesPerClock = 256;
/// How soon an interleave with something under way is asked again.
constexpr milliseconds kSoon{2};
/// Between two offers of a batch that was declined: a handler may decline without having waited.
constexpr milliseconds kBreath{1};
/// A source whose log goes on by this much without any change for us says so before the interval is over.
constexpr Lsn kProgressBytes = 64u << 20;

}  // namespace

StreamReader::StreamReader(StreamParts parts, StreamReaderOptions options, StreamHooks hooks)
    : parts_(std::move(parts)),
      options_(std::move(options)),
      hooks_(std::move(hooks)),
      delivery_(
          parts_.handler, parts_.feedback, [this] { breathe(); }, options_.delivery),
      decoder_(parts_.relations, delivery_, parts_.fill),
      spill_(options_.spill) {}

void StreamReader::run(ReplicationConnection& connection, const Position& from, std::stop_token stop) {
  connection_ = &connection;
  stop_ = std::move(stop);
  inBlock_ = false;
  askAgainSoon_ = true;
  spill_.clear();
  parts_.relations.forgetMessages();
  parts_.feedback.restart(placeOf(from));
  if (parts_.interleave != nullptr) parts_.interleave->restart(progressOf(from));
  delivery_.restart(from, parts_.interleave);
  const Micros now = parts_.clock.steadyNow();
  lastProgress_ = now;
  lastMonitor_ = now - options_.monitorInterval;  // the first at once
  sendStatus(now);
  for (;;) step();
}

void StreamReader::step() {
  if (stop_.stop_requested()) throw StreamStopped{};
  if (hooks_.paused()) return whilePaused();
  std::string_view octets;
  if (connection_->receive(octets) == ReplicationConnection::Received::message) {
    take(octets);
    if (++sinceClock_ >= kMessagesPerClock) keepUp(parts_.clock.steadyNow());
    return;
  }
  drained();
}

/// Nothing is left to read: hand over what there is, then wait.
void StreamReader::drained() {
  delivery_.flush();
  betweenTransactions();
  delivery_.flush();
  const Micros now = parts_.clock.steadyNow();
  keepUp(now);
  if (askAgainSoon_) return connection_->wait(parts_.wake, std::min(kSoon, untilNextDuty(now)));
  connection_->wait(parts_.wake, untilNextDuty(now));
}

void StreamReader::whilePaused() {
  hooks_.enterPaused();
  while (hooks_.paused()) {
    if (stop_.stop_requested()) throw StreamStopped{};
    const Micros now = parts_.clock.steadyNow();
    keepUp(now);
    connection_->wait(parts_.wake, untilNextDuty(now), /*read=*/false);
  }
  hooks_.leavePaused();
}

/// The handler declined: the server must not think that we are gone.
void StreamReader::breathe() {
  if (stop_.stop_requested()) throw StreamStopped{};
  if (hooks_.paused()) whilePaused();
  const Micros now = parts_.clock.steadyNow();
  keepUp(now);
  connection_->wait(parts_.wake, kBreath, /*read=*/false);
}

milliseconds StreamReader::untilNextDuty(Micros now) const {
  const Micros next = std::min(lastStatus_ + options_.statusInterval, lastMonitor_ + options_.monitorInterval);
  return std::max(milliseconds(0), duration_cast<milliseconds>(next - now)) + milliseconds(1);
}

void StreamReader::keepUp(Micros now) {
  sinceClock_ = 0;
  parts_.feedback.reached(delivery_.inHand() ? confirmedBy(placeOf(delivery_.taken())) : parts_.feedback.received(),
                          delivery_.lastCommitMicros());
  if (delivery_.eventsTaken() != takenBefore_) {
    takenBefore_ = delivery_.eventsTaken();
    hooks_.worked();
  }
  if (now - lastMonitor_ >= options_.monitorInterval) {
    lastMonitor_ = now;
    hooks_.monitor();
  }
  if (now - lastStatus_ >= options_.statusInterval || parts_.feedback.takeNews()) sendStatus(now);
}

void StreamReader::sendStatus(Micros now) {
  lastStatus_ = now;
  const Lsn durable = parts_.feedback.durable();
  const Lsn received = std::max(durable, parts_.feedback.received());
  connection_->send({received, durable, parts_.clock.wallNow().count()});
}

void StreamReader::take(std::string_view octets) {
  const ServerMessage message = readServerMessage(octets);
  if (message.kind == ServerMessage::Kind::data) return takeOutput(message.body);
  // In the middle of a transaction it says how far the server has read, which is not yet all ours.
  if (!delivery_.inTransaction()) parts_.feedback.received(message.end);
  if (!message.replyRequested) return;
  sendStatus(parts_.clock.steadyNow());
  if (parts_.feedback.confirmed() < message.end) hooks_.askedForReply();
}

void StreamReader::takeOutput(std::string_view body) {
  if (inBlock_) return takeInBlock(body);
  readPgoutput(body, false, message_);
  switch (message_.kind) {
    case PgoutputKind::begin:
      skipping_ = false;
      return delivery_.begin({message_.commitLsn, message_.commitMicros, message_.xid});
    case PgoutputKind::commit:
      delivery_.commit(message_.commitLsn, message_.endLsn);
      if (delivery_.full()) betweenTransactions();
      return;
    case PgoutputKind::origin:
      skipping_ = options_.skipOrigins.contains(message_.origin);
      return;
    case PgoutputKind::logicalMessage:
      return takeLogicalMessage();
    case PgoutputKind::streamStart:
      inBlock_ = true;
      block_ = message_.xid;
      return;
    case PgoutputKind::streamCommit:
      return replay();
    case PgoutputKind::streamAbort:
      return spill_.abort(message_.xid, message_.subXid);
    default:
      if (isLeftOut()) return;
      return decoder_.take(message_, body.size());
  }
}

/// A row changed by an origin that is left out. Shapes of tables are learned from whatever transaction tells them.
bool StreamReader::isLeftOut() const {
  if (!skipping_) return false;
  const PgoutputKind kind = message_.kind;
  return kind == PgoutputKind::insert || kind == PgoutputKind::update || kind == PgoutputKind::erase ||
         kind == PgoutputKind::truncate;
}

void StreamReader::takeInBlock(std::string_view body) {
  const PgoutputHead head = readPgoutputHead(body, true);
  if (head.kind == PgoutputKind::streamStop) {
    inBlock_ = false;
    return;
  }
  spill_.append(block_, head.xid, body);
}

/// A transaction that came while it ran has committed.
void StreamReader::replay() {
  const std::uint32_t xid = message_.xid;
  const Lsn commit = message_.commitLsn, end = message_.endLsn;
  skipping_ = false;
  delivery_.begin({commit, message_.commitMicros, xid});
  spill_.replay(xid, [&](std::string_view body) {
    if (stop_.stop_requested()) throw StreamStopped{};
    readPgoutput(body, true, message_);
    if (message_.kind == PgoutputKind::logicalMessage) return takeLogicalMessage();
    decoder_.take(message_, body.size());
    if (++sinceClock_ >= kMessagesPerClock) keepUp(parts_.clock.steadyNow());
  });
  delivery_.commit(commit, end);
  spill_.forget(xid);
}

void StreamReader::takeLogicalMessage() {
  if (!message_.transactional && !delivery_.inTransaction()) parts_.feedback.received(message_.messageLsn);
  StreamInterleave* interleave = parts_.interleave;
  if (interleave != nullptr && interleave->pending() && message_.prefix == "tidegate") {
    interleave->onMessage(message_.content, message_.messageLsn);
  }
}

void StreamReader::betweenTransactions() {
  if (delivery_.inTransaction()) return;
  hooks_.between(parts_.feedback.received());
  askAgainSoon_ = delivery_.interleave(
      parts_.feedback.received(), [this](const ChangeEvent& event) { parts_.relations.toldElsewhere(event.shape); });
  if (delivery_.inHand()) return;
  const Micros now = parts_.clock.steadyNow();
  const Lsn received = parts_.feedback.received(), last = delivery_.lastPlace().commit;
  if (received <= last) return;
  if (now - lastProgress_ < options_.statusInterval && received - last < kProgressBytes) return;
  lastProgress_ = now;
  delivery_.progress(received);
}

}  // namespace tidegate::postgres::detail
