// Which shards follow which: what begins with a place, and what begins where a shard ends.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "kinesis/detail/shard_reader.h"

namespace tidegate::kinesis::detail {
namespace {

using ShardMap = std::map<std::string, const ShardInfo*>;

/// Whether `test` holds for an ancestor of the shard, as far as they are listed.
template <class Test>
bool anyAncestor(const ShardInfo& shard, const ShardMap& listed, const Test& test) {
  std::vector<const ShardInfo*> open{&shard};
  std::set<std::string> seen;
  while (!open.empty()) {
    const ShardInfo* current = open.back();
    open.pop_back();
    for (const std::string& parent : current->parents) {
      if (!seen.insert(parent).second) continue;
      if (test(parent)) return true;
      if (const auto at = listed.find(parent); at != listed.end()) open.push_back(at->second);
    }
  }
  return false;
}

bool isDone(const StreamPlace& place, const std::string& shard) {
  const auto at = place.shards.find(shard);
  return at != place.shards.end() && at->second.kind == ShardPlaceKind::done;
}

}  // namespace

/// A shard that is gone before it was read to its end took records with it; and so did one that was idle for us longer
/// than the stream keeps records.
void ShardReader::refuseLost(const std::vector<ShardInfo>& listed) const {
  std::set<std::string> names;
  for (const ShardInfo& shard : listed) names.insert(shard.id);
  for (const auto& [name, at] : place_.shards) {
    if (at.kind == ShardPlaceKind::done) continue;
    const bool gone = !names.contains(name);
    const auto age = std::chrono::milliseconds(nowMillis() - at.millis);
    const bool old = at.kind != ShardPlaceKind::after && age > retention_;
    if (!gone && !old) continue;
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                fmt::format("stream \"{}\" no longer has what follows in shard \"{}\": {}. Take a new baseline{}",
                            api_.stream(), name, gone ? "the shard is gone" : "the place is older than what it keeps",
                            old ? fmt::format(", or keep records longer than {} h", retention_.count()) : ""));
  }
}

void ShardReader::reconcile(const std::vector<ShardInfo>& listed) {
  refuseLost(listed);
  ShardMap byName;
  for (const ShardInfo& shard : listed) byName[shard.id] = &shard;
  std::erase_if(place_.shards, [&](const auto& entry) {
    return entry.second.kind == ShardPlaceKind::done && !byName.contains(entry.first);
  });
  const StreamPlace before = place_;
  for (const ShardInfo& shard : listed) {
    if (before.shards.contains(shard.id)) continue;
    const auto inPlace = [&](const std::string& name) { return before.shards.contains(name); };
    const bool follows = anyAncestor(shard, byName, inPlace);
    const bool parentsRead = !shard.parents.empty() && std::all_of(shard.parents.begin(), shard.parents.end(),
                                                                   [&](const auto& p) { return isDone(before, p); });
    if (follows && !parentsRead) continue;  // it is found again where its parents end
    const bool preceded = std::any_of(listed.begin(), listed.end(), [&](const ShardInfo& other) {
      return inPlace(other.id) && anyAncestor(other, byName, [&](const std::string& p) { return p == shard.id; });
    });
    if (preceded) continue;  // older than the place
    place_.shards[shard.id] = {.millis = nowMillis(), .parents = shard.parents};
  }
  for (const auto& [name, at] : place_.shards) {
    if (at.kind != ShardPlaceKind::done) follow(*byName.at(name));
  }
}

bool ShardReader::finishEnded(const std::stop_token& stop) {
  for (auto& entry : shards_) {
    const std::string name = entry.first;
    const auto& shard = entry.second;
    if (shard->phase != Phase::ended || shard->due > clock_.steadyNow()) continue;
    std::vector<ShardInfo> listed;
    try {
      listed = listShards(stop);
    } catch (const Error& e) {
      if (e.retry() == Retry::never || e.retry() == Retry::afterOperator || e.code() == ErrorCode::queryCancelled)
        throw;
      fail(*shard, e);
      if (fatal_) throw Error(*fatal_);
      continue;
    }
    const auto isChild = [name](const ShardInfo& s) {
      return std::find(s.parents.begin(), s.parents.end(), name) != s.parents.end();
    };
    const bool listedItself =
        std::any_of(listed.begin(), listed.end(), [&](const ShardInfo& s) { return s.id == name; });
    // Every closed shard has children. A listing that has the one and not yet the others is a moment old.
    if (listedItself && std::none_of(listed.begin(), listed.end(), isChild)) {
      shard->due = clock_.steadyNow() + std::chrono::seconds(1);
      continue;
    }
    // Together: a place in which a shard is done has its children.
    place_.shards[name].kind = ShardPlaceKind::done;
    place_.shards[name].sequence.clear();
    place_.shards[name].parts = 0;
    shards_.erase(name);
    for (const ShardInfo& child : listed) {
      if (!isChild(child) && !shards_.contains(child.id)) continue;
      if (place_.shards.emplace(child.id, ShardPlace{.millis = nowMillis(), .parents = child.parents}).second ||
          shards_.contains(child.id)) {
        follow(child);
      }
    }
    return true;
  }
  return false;
}

}  // namespace tidegate::kinesis::detail
