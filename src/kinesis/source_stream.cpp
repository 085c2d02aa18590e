// The stream's part of the source: shards' answers become events, in the order they come.
#include <fmt/format.h>

#include <algorithm>

#include "core/detail/octet_text.h"
#include "kinesis/detail/source_core.h"
#include "tidegate/core/json.h"

namespace tidegate::kinesis::detail {
namespace {

/// How long one look at the shards takes when nothing comes: a pause is noticed by then.
constexpr std::chrono::milliseconds kLook{50};

}  // namespace

void SourceCore::stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
                        const std::stop_token& stop) {
  StreamPlace place = requirePlace(from);
  requireOpen();
  try {
    Shapes wanted;
    http::Client client(clientOptions());
    Backoff backoff(options_.backoff, context_.jitterSeed);
    while (wanted.size() < tables.size()) {
      try {
        const Catalogue& catalogue = freshCatalogue(client, stop);
        for (const std::string& table : tables) {
          const auto shape = catalogue.shapes.find(table);
          if (shape == catalogue.shapes.end()) {
            throw Error(ErrorCode::tableNotFound, Retry::afterOperator, snapshots_->missingTable(table));
          }
          wanted[table] = shape->second;
        }
      } catch (const Error& e) {
        if (stop.stop_requested() || !waitToRetry(e, backoff, state_, *scheduler_, stop)) break;
      }
    }
    Streaming streaming{.handler = handler,
                        .stop = stop,
                        .place = leases_ ? leases_->join(place) : std::move(place),
                        .client = http::Client(clientOptions()),
                        .mapper = RecordMapper(std::move(wanted))};
    if (!stop.stop_requested()) follow(streaming);
  } catch (const ReaderFailed& failed) {
    saveAcked(true);
    if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "the reader failed");
    std::rethrow_exception(failed.why);
  } catch (const Error& e) {
    saveAcked(true);
    if (e.code() == ErrorCode::positionLost) loseLeases();
    if (!stop.stop_requested() || e.code() != ErrorCode::queryCancelled) {
      if (state_.state() != SourceState::error) state_.to(SourceState::error, e.message());
      throw;
    }
  }
  saveAcked(true);
  if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "stopped");
}

/// @return false: stopped.
bool SourceCore::begin(Streaming& streaming, ShardReader& reader) {
  Backoff backoff(options_.backoff, context_.jitterSeed);
  for (;;) {
    try {
      reader.begin(streaming.stop);
      if (state_.state() != SourceState::connected) state_.to(SourceState::connected, "the shards are listed");
      state_.to(SourceState::streaming, "reads the shards");
      return true;
    } catch (const Error& e) {
      if (streaming.stop.stop_requested()) return false;
      if (!waitToRetry(e, backoff, state_, *scheduler_, streaming.stop)) return false;
    }
  }
}

void SourceCore::follow(Streaming& streaming) {
  const auto consumer = awaitConsumer(streaming);
  if (!consumer) return;
  ShardReader reader(*api_, streaming.client,
                     {.readInterval = options_.readInterval,
                      .recordsPerRead = options_.recordsPerRead,
                      .backoff = options_.backoff,
                      .jitterSeed = context_.jitterSeed,
                      .leased = leases_.has_value(),
                      .consumer = consumer->arn,
                      .subscribeInterval = options_.fanOut.retryInterval},
                     *clock_, streaming.place, context_.onWarning);
  if (!begin(streaming, reader)) return;
  if (leases_) settleLeases(streaming, reader);
  while (waitWhilePaused(state_.state(), streaming.stop)) {
    if (leases_) tendLeases(streaming, reader);
    if (!step(streaming, reader)) return;
    showFailing(reader.failing());
    noteLag(reader);
    saveAcked(false);
  }
}

/// One shard's trouble is told as a warning; that of all of them is the source's state.
void SourceCore::showFailing(bool failing) {
  if (failing && state_.state() == SourceState::streaming) {
    state_.to(SourceState::reconnecting, "no shard can be read for now");
  } else if (!failing && state_.state() == SourceState::reconnecting) {
    state_.to(SourceState::connected, "a shard answered");
    state_.to(SourceState::streaming, "reads the shards");
  }
}

/// @return false: stopped.
bool SourceCore::step(Streaming& streaming, ShardReader& reader) {
  bool moved = false;
  if (ReadShard* shard = reader.next(kLook, streaming.stop)) {
    showFailing(false);
    try {
      if (!deliver(streaming, *shard)) return false;
      moved = reader.taken(*shard);
    } catch (const LeaseLost&) {
      // What the reader did not take is the next owner's.
      streaming.place.shards.at(shard->info.id) = streaming.taken;
      streaming.batch.clear();
      reader.drop(shard->info.id);
    }
  }
  moved = reader.finishEnded(streaming.stop) || moved;
  return !moved || tellProgress(streaming);
}

bool SourceCore::deliver(Streaming& streaming, ReadShard& shard) {
  if (shard.answer.records.empty()) return true;
  streaming.writer.begin(streaming.place, shard.info.id);
  streaming.batch.clear();
  streaming.taken = streaming.place.shards.at(shard.info.id);
  bool first = true;
  for (const StreamRecord& record : shard.answer.records) {
    if (!deliverRecord(streaming, shard, record, first ? shard.partsTaken : 0)) return false;
    first = false;
    if (streaming.batch.size() >= options_.batchEvents && !flush(streaming, &shard)) return false;
  }
  ShardPlace& at = streaming.place.shards.at(shard.info.id);
  // Records that nobody wanted: whoever keeps the place need not read them again.
  const Position end = streaming.writer.at(at);
  if (!(streaming.told == end)) {
    ChangeEvent& event = streaming.batch.add(ChangeOp::progress, nullptr);
    event.transactionBegin = event.transactionEnd = true;
    event.position = end;
  }
  return flush(streaming, &shard);
}

/// One record, or the parts of one; `from` parts of it were taken before.
bool SourceCore::deliverRecord(Streaming& streaming, const ReadShard& shard, const StreamRecord& record,
                               std::uint32_t from) {
  ShardPlace& at = streaming.place.shards.at(shard.info.id);
  ShardPlace next = at;
  next.kind = ShardPlaceKind::after;
  next.sequence = record.sequence;
  next.parts = 0;
  next.millis = record.arrivalMillis;
  std::vector<KplPart> parts;
  if (!isAggregated(record.data)) {
    deliverOne(streaming, shard, record.data, next);
  } else {
    try {
      parts = partsOf(record.data);
    } catch (const Error& e) {
      malformed(shard, record.data, next, e);
    }
  }
  for (std::uint32_t i = from; i < parts.size(); ++i) {
    next.parts = i + 1 == parts.size() ? 0 : i + 1;
    if (belongs(parts[i], shard.info.range)) {
      deliverOne(streaming, shard, parts[i].data, next);
    } else if (streaming.warned.insert(shard.info.id).second && context_.onWarning) {
      context_.onWarning(
          fmt::format("shard \"{}\": an aggregated record has parts of other shards; they were left out, "
                      "since their producer sends them again to where they belong",
                      shard.info.id));
    }
    at = next;
    if (streaming.batch.size() >= options_.batchEvents && !flush(streaming, &shard)) return false;
  }
  next.parts = 0;
  at = next;
  return true;
}

void SourceCore::deliverOne(Streaming& streaming, const ReadShard& shard, std::string_view data,
                            const ShardPlace& next) {
  try {
    if (!streaming.mapper.map(data, streaming.batch)) return;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::parseError) throw;
    // What came before it is not to wait for an operator.
    if (!options_.deadLetters && !flush(streaming, &shard)) return;
    return malformed(shard, data, next, e);
  }
  ChangeEvent& event = streaming.batch.back();
  event.position = streaming.writer.at(next);
  event.commitMicros = next.millis * 1'000;
  streaming.told = event.position;
}

void SourceCore::malformed(const ReadShard& shard, std::string_view data, const ShardPlace& at, const Error& why) {
  const std::string where =
      fmt::format("record {}{} of shard \"{}\" of stream \"{}\"", at.sequence,
                  at.parts != 0 ? fmt::format(" (part {})", at.parts) : "", shard.info.id, options_.stream);
  if (!options_.deadLetters) {
    throw Error(
        ErrorCode::parseError, Retry::afterOperator,
        fmt::format("{} cannot be read as a change: {}. Give SourceOptions::deadLetters to put such records aside",
                    where, why.message()));
  }
  std::string event = "{\"stream\":";
  appendJsonString(options_.stream, event);
  event += ",\"shard\":";
  appendJsonString(shard.info.id, event);
  event += fmt::format(",\"sequence\":\"{}\",\"part\":{},\"data\":\"{}\"}}", at.sequence, at.parts,
                       tidegate::detail::base64Of(data));
  ShardPlace alone = at;
  alone.parents.clear();
  options_.deadLetters->add({.pipeline = "kinesis:" + options_.stream,
                             .positionText = placeText({.shards = {{shard.info.id, alone}}}),
                             .event = std::move(event),
                             .error = redactSecrets(why.message()),
                             .failedMicros = clock_->wallNow().count(),
                             .attempts = 1});
  if (context_.onWarning) context_.onWarning(where + " was put aside as a dead letter: " + why.message());
}

bool SourceCore::flush(Streaming& streaming, const ReadShard* shard) {
  if (streaming.batch.empty()) return true;
  if (!offer(streaming.batch, streaming.handler, SourceState::streaming, streaming.stop,
             shard != nullptr ? &shard->info.id : nullptr)) {
    return false;
  }
  streaming.batch.clear();
  if (shard != nullptr) streaming.taken = streaming.place.shards.at(shard->info.id);
  return true;
}

bool SourceCore::tellProgress(Streaming& streaming) {
  ChangeEvent& event = streaming.batch.add(ChangeOp::progress, nullptr);
  event.transactionBegin = event.transactionEnd = true;
  event.position.octets = placeText(streaming.place);
  return flush(streaming);
}

void SourceCore::noteLag(const ShardReader& reader) {
  const auto behind = reader.behind();
  const auto records = reader.recordsBehind();
  const std::lock_guard lock(mutex_);
  lag_.time = behind;
  lag_.records = records;
}

}  // namespace tidegate::kinesis::detail
