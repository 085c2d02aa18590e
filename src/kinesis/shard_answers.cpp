// What a shard's requests came to.
#include <fmt/format.h>

#include <algorithm>

#include "kinesis/detail/shard_reader.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::chrono::minutes kClocksApart{5};

}  // namespace

void ShardReader::onIterator(ReadShard& shard, const http::Outcome& outcome) {
  shard.phase = Phase::place;
  if (shard.dropped) return;
  if (outcome.error) return fail(shard, *outcome.error);
  try {
    if (const auto error = api_.failureOf(outcome.response, "GetShardIterator for " + nameOf(shard))) {
      return failAnswered(shard, *error);
    }
    shard.iterator = KinesisApi::iteratorOf(outcome.response);
    shard.phase = Phase::reading;
  } catch (const Error& e) {
    fail(shard, e);
  }
}

void ShardReader::onRecords(ReadShard& shard, const http::Outcome& outcome) {
  shard.phase = Phase::reading;
  if (shard.dropped) return;
  if (outcome.error) return fail(shard, *outcome.error);
  try {
    if (const auto error = api_.failureOf(outcome.response, "GetRecords of " + nameOf(shard))) {
      return failAnswered(shard, *error);
    }
    shard.answer = KinesisApi::recordsOf(outcome.response);
  } catch (const Error& e) {
    return fail(shard, e);
  }
  succeed(shard);
  measure(shard);
  verify(shard);
  shard.phase = Phase::answered;
}

/// How fast records came. One alone says nothing of that.
void ShardReader::measure(ReadShard& shard) {
  const std::vector<StreamRecord>& records = shard.answer.records;
  if (records.size() < 2) return;
  const std::int64_t over = records.back().arrivalMillis - records.front().arrivalMillis;
  shard.recordsPerMilli =
      static_cast<double>(records.size() - 1) / static_cast<double>(std::max<std::int64_t>(over, 1));
}

/// An iterator begins at the record that was taken last. It is left out; where it is missing, it was trimmed.
void ShardReader::verify(ReadShard& shard) {
  if (!shard.unverified) return;
  std::vector<StreamRecord>& records = shard.answer.records;
  if (records.empty()) {
    if (shard.answer.nextIterator.empty()) onTrimmed(shard);
    return;
  }
  shard.unverified = false;
  const ShardPlace& at = place_.shards.at(shard.info.id);
  if (records.front().sequence != at.sequence) return onTrimmed(shard);
  if (at.parts == 0)
    records.erase(records.begin());
  else
    shard.partsTaken = at.parts;
}

/// The record is gone. Nothing else is where nothing had followed it at a time that the stream still remembers.
void ShardReader::onTrimmed(const ReadShard& shard) {
  const ShardPlace& at = place_.shards.at(shard.info.id);
  const auto age = std::chrono::milliseconds(nowMillis() - at.millis);
  if (at.parts == 0 && age + kClocksApart < retention_) return;
  fatal_ = Error(ErrorCode::positionLost, Retry::afterOperator,
                 fmt::format("{} no longer has the record that was taken last, nor perhaps what followed it (it keeps "
                             "records for {} h). Take a new baseline",
                             nameOf(shard), retention_.count()));
}

void ShardReader::failAnswered(ReadShard& shard, const AwsError& error) {
  switch (error.failure()) {
    case AwsFailure::throttled:
      shard.due = clock_.steadyNow() + std::max<Clock::Micros>(options_.readInterval, *shard.slower.next());
      return;
    case AwsFailure::expiredPlace:
      shard.phase = Phase::place;
      shard.due = clock_.steadyNow();
      return;
    case AwsFailure::oldKeys:
    case AwsFailure::clockSkew:
      return fail(shard, Error(ErrorCode::authenticationFailed, Retry::later, error.message()));
    case AwsFailure::invalid: {
      const bool place = shard.phase == Phase::place && place_.shards.at(shard.info.id).kind == ShardPlaceKind::after;
      if (!place) break;
      fatal_ = Error(ErrorCode::positionLost, Retry::afterOperator,
                     fmt::format("{} does not know the place that was reached; was the stream made anew? Take a new "
                                 "baseline ({})",
                                 nameOf(shard), error.message()));
      return;
    }
    default:
      break;
  }
  fail(shard, error);
}

/// Others go on meanwhile. Where it cannot help to try again, or was tried often enough, the stream ends with it.
void ShardReader::fail(ReadShard& shard, const Error& error) {
  const bool hopeless = error.retry() == Retry::never || error.retry() == Retry::afterOperator;
  const auto pause = hopeless ? std::nullopt : shard.backoff.next();
  if (!pause) {
    fatal_ = Error(error.code(), hopeless ? error.retry() : Retry::later,
                   fmt::format("{}: {}{}", nameOf(shard), error.message(),
                               hopeless ? "" : fmt::format(" (after {} tries)", shard.backoff.failures() + 1)));
    return;
  }
  if (!shard.failing && warn_) warn_(fmt::format("{} cannot be read for now: {}", nameOf(shard), error.message()));
  shard.failing = true;
  shard.due = clock_.steadyNow() + *pause;
}

}  // namespace tidegate::kinesis::detail
