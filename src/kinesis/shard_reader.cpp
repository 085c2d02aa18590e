#include "kinesis/detail/shard_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tidegate::kinesis::detail {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;

}  // namespace

ShardReader::ShardReader(KinesisApi& api, http::Client& client, ShardReaderOptions options, const Clock& clock,
                         StreamPlace& place, std::function<void(const std::string&)> warn)
    : api_(api), client_(client), options_(options), clock_(clock), place_(place), warn_(std::move(warn)) {}

std::string ShardReader::nameOf(const ReadShard& shard) const {
  return fmt::format("shard \"{}\" of stream \"{}\"", shard.info.id, api_.stream());
}

std::int64_t ShardReader::nowMillis() const { return duration_cast<milliseconds>(clock_.wallNow()).count(); }

void ShardReader::begin(const std::stop_token& stop) {
  retention_ = api_.summary(client_, stop).retention;
  reconcile(listShards(stop));
}

std::vector<ShardInfo> ShardReader::listShards(const std::stop_token& stop) {
  std::vector<ShardInfo> listed = api_.shards(client_, stop);
  for (const ShardInfo& shard : listed) infos_[shard.id] = shard;
  return listed;
}

void ShardReader::take(const std::string& shard, const std::stop_token& stop) {
  if (!infos_.contains(shard)) reconcile(listShards(stop));
  const auto info = infos_.find(shard);
  if (info == infos_.end() || shards_.contains(shard)) return;
  shards_[shard] = std::make_unique<ReadShard>(info->second, options_);
  follow(info->second);
}

void ShardReader::drop(const std::string& shard) {
  std::erase_if(dropped_, [](const auto& old) { return old->phase != Phase::asking; });
  const auto at = shards_.find(shard);
  if (at == shards_.end()) return;
  at->second->dropped = true;
  dropped_.push_back(std::move(at->second));
  shards_.erase(at);
}

std::vector<std::string> ShardReader::reading() const {
  std::vector<std::string> names;
  for (const auto& [name, shard] : shards_) names.push_back(name);
  return names;
}

bool ShardReader::parentsDone(const ShardInfo& shard) const {
  return std::all_of(shard.parents.begin(), shard.parents.end(), [&](const std::string& parent) {
    const auto at = place_.shards.find(parent);
    return at == place_.shards.end() || at->second.kind == ShardPlaceKind::done;
  });
}

void ShardReader::follow(const ShardInfo& shard) {
  if (options_.leased && !shards_.contains(shard.id)) return;
  auto& read = shards_[shard.id];
  if (!read) read = std::make_unique<ReadShard>(shard, options_);
  if (read->phase == Phase::parents && parentsDone(shard)) read->phase = Phase::place;
}

std::chrono::milliseconds ShardReader::untilDue(milliseconds most) const {
  const Clock::Micros now = clock_.steadyNow();
  milliseconds wait = most;
  for (const auto& [name, shard] : shards_) {
    const bool waits = shard->phase == Phase::place || shard->phase == Phase::reading || shard->phase == Phase::ended;
    if (waits) wait = std::min(wait, std::chrono::ceil<milliseconds>(std::max(shard->due - now, Clock::Micros(0))));
  }
  return wait;
}

ReadShard* ShardReader::next(milliseconds wait, const std::stop_token& stop) {
  const auto answered = [this]() -> ReadShard* {
    // In turn, so that none keeps the others waiting.
    for (const bool later : {true, false}) {
      for (auto& [name, shard] : shards_) {
        if ((name > lastTaken_) == later && shard->phase == Phase::answered) {
          lastTaken_ = name;
          return shard.get();
        }
      }
    }
    return nullptr;
  };
  startDue(stop);
  ReadShard* found = answered();
  // What is under way is moved on meanwhile, without waiting for it.
  client_.run(found != nullptr ? milliseconds(0) : untilDue(wait), stop);
  if (found != nullptr) return found;
  if (fatal_) throw Error(*fatal_);
  return answered();
}

void ShardReader::startDue(const std::stop_token& stop) {
  const Clock::Micros now = clock_.steadyNow();
  for (auto& [name, shard] : shards_) {
    if ((shard->phase != Phase::place && shard->phase != Phase::reading) || shard->due > now) continue;
    try {
      ask(*shard, stop);
    } catch (const Error& e) {
      // Keys that cannot be had concern all shards; each waits its turn.
      if (e.retry() != Retry::later || e.code() == ErrorCode::queryCancelled) throw;
      fail(*shard, e);
    }
  }
}

void ShardReader::ask(ReadShard& shard, const std::stop_token& stop) {
  if (shard.phase == Phase::place) {
    const ShardPlace& from = place_.shards.at(shard.info.id);
    http::ClientRequest request = api_.iteratorRequest(shard.info.id, from, stop);
    shard.unverified = from.kind == ShardPlaceKind::after;
    shard.partsTaken = 0;
    client_.start(std::move(request), {.onDone = [this, &shard](const http::Outcome& o) { onIterator(shard, o); }});
  } else {
    http::ClientRequest request = api_.recordsRequest(shard.iterator, options_.recordsPerRead, stop);
    shard.askedMillis = nowMillis();
    shard.due = clock_.steadyNow() + options_.readInterval;
    client_.start(std::move(request), {.onDone = [this, &shard](const http::Outcome& o) { onRecords(shard, o); }});
  }
  shard.phase = Phase::asking;
}

void ShardReader::succeed(ReadShard& shard) {
  shard.failing = false;
  shard.backoff.reset();
  shard.slower.reset();
}

bool ShardReader::taken(ReadShard& shard) {
  ShardPlace& at = place_.shards.at(shard.info.id);
  const bool quiet = shard.answer.records.empty() && shard.answer.millisBehind == 0 && !shard.unverified &&
                     shard.askedMillis - at.millis >= options_.progressInterval.count();
  if (quiet && at.kind != ShardPlaceKind::time) at.millis = shard.askedMillis;
  shard.answer.records.clear();
  shard.partsTaken = 0;
  shard.iterator = std::move(shard.answer.nextIterator);
  shard.phase = shard.iterator.empty() ? Phase::ended : Phase::reading;
  if (shard.phase == Phase::ended) shard.due = Clock::Micros(0);
  return quiet && at.kind != ShardPlaceKind::time;
}

bool ShardReader::failing() const {
  bool any = false;
  for (const auto& [name, shard] : shards_) {
    if (shard->phase == Phase::parents) continue;
    if (!shard->failing) return false;
    any = true;
  }
  return any;
}

std::optional<milliseconds> ShardReader::behind() const {
  milliseconds most{0};
  for (const auto& [name, shard] : shards_) {
    if (shard->phase == Phase::parents || shard->phase == Phase::ended) continue;
    if (shard->askedMillis == 0) return std::nullopt;
    most = std::max(most, milliseconds(shard->answer.millisBehind));
  }
  return most;
}

std::optional<std::uint64_t> ShardReader::recordsBehind() const {
  double count = 0;
  for (const auto& [name, shard] : shards_) {
    if (shard->phase == Phase::parents || shard->phase == Phase::ended) continue;
    if (shard->askedMillis == 0) return std::nullopt;
    count += static_cast<double>(shard->answer.records.size()) +
             std::round(static_cast<double>(shard->answer.millisBehind) * shard->recordsPerMilli);
  }
  return static_cast<std::uint64_t>(count);
}

}  // namespace tidegate::kinesis::detail
