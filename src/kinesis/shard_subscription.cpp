// Enhanced fan-out: a shard's answers come over a subscription, instead of being asked for one by one.
#include <fmt/format.h>

#include <algorithm>

#include "kinesis/detail/shard_reader.h"

namespace tidegate::kinesis::detail {
namespace {

using std::chrono::milliseconds;

/// What waits of one subscription before its connection is read no more. A message in the making counts on top.
constexpr std::size_t kHoldOctets = 256u << 10;
constexpr std::size_t kComplaintOctets = 64u << 10;
/// Refusals of a second subscription in a row after which they are told; a restart brings five or so.
constexpr std::uint32_t kManyRefusals = 15;

}  // namespace

/// Goes on where the last subscription ended, as long as the stream surely has all that followed. Otherwise from the
/// place, whose record must come again.
void ShardReader::subscribe(ReadShard& shard, const std::stop_token& stop) {
  const ShardPlace& from = place_.shards.at(shard.info.id);
  const bool fresh = milliseconds(nowMillis() - shard.askedMillis) < retention_ / 2;
  if (shard.iterator.empty() || !fresh) {
    shard.iterator.clear();
    shard.unverified = from.kind == ShardPlaceKind::after;
    shard.partsTaken = 0;
  }
  http::ClientRequest request = api_.subscribeRequest(options_.consumer, shard.info.id, from, shard.iterator, stop);
  shard.subscription = std::make_unique<Subscription>();
  shard.subscription->begunMillis = nowMillis();
  shard.phase = Phase::asking;
  shard.subscription->id =
      client_.start(std::move(request), {.onHead =
                                             [&shard](const http::Response& head) {
                                               shard.subscription->head = head;
                                               shard.subscription->accepted = head.status == 200;
                                               if (head.status == 200) shard.phase = Phase::listening;
                                               return true;
                                             },
                                         .onData = [this, &shard](std::string_view p) { return onPiece(shard, p); },
                                         .onDone = [this, &shard](const auto& o) { onSubscriptionEnd(shard, o); }});
}

/// @return false: enough of this answer.
bool ShardReader::onPiece(ReadShard& shard, std::string_view piece) {
  Subscription& subscription = *shard.subscription;
  if (!subscription.accepted) {
    std::string& body = subscription.head.body;
    body.append(piece.substr(0, kComplaintOctets - std::min(kComplaintOctets, body.size())));
    return true;
  }
  if (shard.dropped || subscription.refused) return false;
  subscription.decoder.push(piece);
  if (shard.phase == Phase::listening) pump(shard);
  if (subscription.refused) return false;
  if (shard.phase == Phase::answered && !subscription.held && subscription.decoder.buffered() >= kHoldOctets) {
    subscription.held = true;
    client_.hold(subscription.id, true);
  }
  return true;
}

/// Takes messages until one of them is an answer, or none is whole.
void ShardReader::pump(ReadShard& shard) {
  Subscription& subscription = *shard.subscription;
  try {
    while (shard.phase == Phase::listening && !subscription.refused) {
      const auto message = subscription.decoder.next();
      if (!message) break;
      takeMessage(shard, *message);
    }
  } catch (const Error& e) {
    subscription.refused = true;
    subscription.error = e;
  }
  if (shard.phase != Phase::listening) return;
  if (subscription.over) return settle(shard);
  if (subscription.refused) return client_.cancel(subscription.id);
  if (!subscription.held) return;
  subscription.held = false;
  client_.hold(subscription.id, false);
}

void ShardReader::takeMessage(ReadShard& shard, const EventMessage& message) {
  Subscription& subscription = *shard.subscription;
  const std::string_view type = message.header(":message-type");
  if (type == "exception" || type == "error") {
    subscription.exception =
        api_.exceptionIn(message, subscription.head.headers, "SubscribeToShard for " + nameOf(shard));
    subscription.refused = true;
    return;
  }
  if (type != "event") {
    throw Error(ErrorCode::parseError, Retry::later, "the event stream has a message that is no event");
  }
  // The first one says that there is a subscription, and nothing else.
  if (message.header(":event-type") != "SubscribeToShardEvent") return;
  shard.answer = KinesisApi::eventOf(message.payload);
  // An event may have waited here for long: all that is sure is that it was made after it was asked for.
  shard.askedMillis = subscription.begunMillis;
  subscription.events = true;
  succeed(shard);
  measure(shard);
  verify(shard);
  shard.phase = Phase::answered;
}

void ShardReader::onSubscriptionEnd(ReadShard& shard, const http::Outcome& outcome) {
  Subscription& subscription = *shard.subscription;
  subscription.over = true;
  if (!subscription.refused) subscription.error = outcome.error;
  const bool waits = shard.phase == Phase::asking || shard.phase == Phase::listening;
  if (!shard.dropped && waits) settle(shard);
}

/// All of a subscription was taken: why it ended says what follows. Most end since their five minutes are over.
void ShardReader::settle(ReadShard& shard) {
  const std::unique_ptr<Subscription> ended = std::move(shard.subscription);
  shard.phase = Phase::place;
  shard.due = clock_.steadyNow();
  if (ended->exception) {
    if (ended->exception->failure() == AwsFailure::invalid) return fail(shard, *ended->exception);
    return failAnswered(shard, *ended->exception);
  }
  if (ended->error) return fail(shard, *ended->error);
  if (!ended->accepted) {
    const auto error = api_.failureOf(ended->head, "SubscribeToShard for " + nameOf(shard));
    return failAnswered(shard, error.value_or(AwsError(AwsFailure::unavailable, ErrorCode::connectionFailed,
                                                       Retry::later, "SubscribeToShard was answered by nothing")));
  }
  if (ended->events && !ended->decoder.withinMessage()) return;
  fail(shard, Error(ErrorCode::connectionFailed, Retry::later,
                    ended->events ? "a subscription ended within a message" : "a subscription ended without an event"));
}

/// A shard has one subscription for each consumer. The last one of this reader may still count, or another reader has
/// the same consumer.
void ShardReader::onBusy(ReadShard& shard, const AwsError& error) {
  shard.due = clock_.steadyNow() + options_.subscribeInterval;
  shard.slower.next();
  if (shard.slower.failures() != kManyRefusals || !warn_) return;
  warn_(
      fmt::format("{} is refused again and again: does another program read with the same consumer? Give each its "
                  "own fanOut.consumer ({})",
                  nameOf(shard), error.message()));
}

void ShardReader::unsubscribe(ReadShard& shard) {
  if (shard.subscription && !shard.subscription->over) client_.cancel(shard.subscription->id);
}

}  // namespace tidegate::kinesis::detail
