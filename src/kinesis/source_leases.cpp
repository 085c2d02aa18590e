// The part of the source that shares its shards with other workers.
#include <fmt/format.h>

#include "kinesis/detail/source_core.h"

namespace tidegate::kinesis::detail {

void SourceCore::settleLeases(Streaming& streaming, ShardReader& reader) {
  leases_->settle(streaming.place, ackedPlace());
  followLeases(streaming, reader);
}

void SourceCore::tendLeases(Streaming& streaming, ShardReader& reader) {
  leases_->tend(ackedPlace());
  if (leases_->version() != streaming.leasesSeen) followLeases(streaming, reader);
}

/// Reads what is this worker's now, and nothing else.
void SourceCore::followLeases(Streaming& streaming, ShardReader& reader) {
  streaming.leasesSeen = leases_->version();
  for (const std::string& shard : reader.reading()) {
    if (!leases_->owns(shard)) reader.drop(shard);
  }
  // A position is the group's: what others made durable lies behind it.
  for (const auto& [shard, at] : leases_->place().shards) {
    if (reader.reads(shard)) continue;
    const auto [known, added] = streaming.place.shards.emplace(shard, at);
    if (!added && compareShardPlaces(at, known->second) == std::strong_ordering::greater) known->second = at;
  }
  for (const std::string& shard : leases_->surplus()) {
    reader.drop(shard);
    leases_->giveBack(shard, streaming.place.shards.at(shard));
  }
  for (const std::string& shard : leases_->toRead()) {
    if (reader.reads(shard) || streaming.place.shards.at(shard).kind == ShardPlaceKind::done) continue;
    try {
      reader.take(shard, streaming.stop);
    } catch (const Error& e) {
      if (e.retry() != Retry::later || e.code() == ErrorCode::queryCancelled) throw;
      streaming.leasesSeen = 0;  // once more at the next look
      if (context_.onWarning) context_.onWarning(fmt::format("shard \"{}\" cannot be begun: {}", shard, e.message()));
    }
  }
}

/// Tells the others, too, that only a baseline helps.
void SourceCore::loseLeases() {
  try {
    if (leases_) leases_->lost();
  } catch (const Error& e) {
    if (context_.onWarning) context_.onWarning(fmt::format("the other workers could not be told: {}", e.message()));
  }
}

}  // namespace tidegate::kinesis::detail
