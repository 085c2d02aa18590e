#include "kinesis/detail/lease_keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr int kMostTries = 200;

[[noreturn]] void refuseLeases(const LeaseOptions& options) {
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
              fmt::format("the entry \"{}\" holds no leases of a Kinesis source: stop all workers and remove it; the "
                          "group then begins with a baseline",
                          options.key));
}

}  // namespace

LeaseKeeper::LeaseKeeper(LeaseOptions options, const Clock& clock, Scheduler& scheduler,
                         std::function<void(const std::string&)> warn)
    : options_(std::move(options)), clock_(clock), scheduler_(scheduler), warn_(std::move(warn)) {}

void LeaseKeeper::look(const LeaseTable& table) {
  const Clock::Micros now = clock_.steadyNow();
  std::erase_if(seen_, [&](const auto& seen) { return !table.workers.contains(seen.first); });
  for (const auto& [worker, beats] : table.workers) {
    const auto [at, added] = seen_.try_emplace(worker, Seen{beats, now});
    if (!added && at->second.beats != beats) at->second = {beats, now};
  }
}

/// By our own clock, from when its last sign of life was first seen: nobody else's clock is asked.
std::set<std::string> LeaseKeeper::dead() const {
  std::set<std::string> dead;
  for (const auto& [worker, seen] : seen_) {
    if (worker != options_.worker && clock_.steadyNow() - seen.since > options_.duration) dead.insert(worker);
  }
  return dead;
}

void LeaseKeeper::update(const std::function<bool(LeaseTable&)>& change) {
  for (int tries = 0; tries < kMostTries; ++tries) {
    const Clock::Micros before = clock_.steadyNow();
    const auto text = options_.store->get(options_.key);
    auto read = text ? parseLeases(*text) : std::optional<LeaseTable>(LeaseTable{});
    if (!read) refuseLeases(options_);
    look(*read);
    LeaseTable next = *read;
    if (!change(next)) {
      table_ = std::move(*read);
      return;
    }
    next.version = read->version + 1;
    try {
      if (!options_.store->putIf(options_.key, text, leaseText(next))) continue;
    } catch (const Error& e) {
      // If it was written, the same change once more does no harm.
      if (e.retry() != Retry::outcomeUnknown) throw;
      continue;
    }
    table_ = std::move(next);
    look(table_);
    // Others count from when they see it, which is later.
    renewed_ = before;
    held_ = true;
    return;
  }
  throw Error(ErrorCode::storeUnavailable, Retry::later,
              fmt::format("the leases \"{}\" are written by others all the time: let fewer workers share them, or make "
                          "LeaseOptions::duration longer",
                          options_.key));
}

std::optional<StreamPlace> LeaseKeeper::awaitBaseline(const std::vector<std::string>& tables,
                                                      const std::stop_token& stop) {
  epoch_.reset();
  const auto isRead = [&](const std::string& table) { return table_.place.tables.contains(table); };
  for (;;) {
    bool mine = false;
    update([&](LeaseTable& table) {
      mine = false;
      table_ = table;
      if (std::any_of(tables.begin(), tables.end(), isRead)) return false;
      const bool taken = !table.baselineBy.empty() && table.baselineBy != options_.worker &&
                         table.workers.contains(table.baselineBy) && !dead().contains(table.baselineBy);
      if (taken) return false;
      mine = true;
      table.baselineBy = options_.worker;
      ++table.workers[options_.worker];
      return true;
    });
    if (mine) return std::nullopt;
    if (std::all_of(tables.begin(), tables.end(), isRead)) return table_.place;
    if (std::any_of(tables.begin(), tables.end(), isRead)) {
      throw Error(
          ErrorCode::invalidConfig, Retry::afterOperator,
          fmt::format("the workers that share \"{0}\" read some of these tables already, and a table cannot join "
                      "them: stop all, remove the entry \"{0}\", and begin with a new baseline",
                      options_.key));
    }
    if (!scheduler_.waitFor(options_.duration / 10, stop)) {
      throw Error(ErrorCode::queryCancelled, Retry::later, "stopped while another worker read the baseline");
    }
  }
}

StreamPlace LeaseKeeper::join(const StreamPlace& from) {
  leaving_.clear();
  update([&](LeaseTable& table) {
    ++table.workers[options_.worker];
    // The first, or the one that read the baseline: the group begins where it does.
    const bool fresh = table.place.shards.empty();
    if (fresh) table.place.shards = from.shards;
    if (fresh && table.baselineBy.empty()) table.place.tables = from.tables;
    return true;
  });
  epoch_ = table_.epoch;
  StreamPlace place = table_.place;
  raisePlace(place, from);
  // A place in which a shard is done has its children, also where the group was not told yet.
  for (const auto& [shard, at] : from.shards) {
    const bool follows = std::any_of(at.parents.begin(), at.parents.end(), [&](const std::string& parent) {
      const auto known = place.shards.find(parent);
      return known != place.shards.end() && known->second.kind == ShardPlaceKind::done;
    });
    if (follows) place.shards.emplace(shard, at);
  }
  // What was made durable is told by these names.
  for (const auto& [table, version] : from.tables) place.tables.emplace(table, version);
  return place;
}

void LeaseKeeper::turn(LeaseTable& table, const StreamPlace& acked) {
  std::set<std::string> givenBack;
  for (const auto& [shard, leaving] : leaving_) {
    const Leaving& left = leaving;
    const auto durable = acked.shards.find(shard);
    const auto known = table.place.shards.find(shard);
    const auto reached = [&](const auto& at, const auto& end) {
      return at != end && compareShardPlaces(at->second, left.at) != std::strong_ordering::less;
    };
    // Where nobody acknowledges it, what was read of it comes again elsewhere.
    if (reached(durable, acked.shards.end()) || reached(known, table.place.shards.end()) ||
        clock_.steadyNow() - left.since > options_.duration) {
      givenBack.insert(shard);
    }
  }
  takeTurn(table, {.me = options_.worker, .dead = dead(), .acked = acked, .givenBack = givenBack});
}

void LeaseKeeper::settle(const StreamPlace& listed, const StreamPlace& acked) {
  update([&](LeaseTable& table) {
    if (table.epoch != epoch_) return false;
    for (const auto& [shard, at] : listed.shards) {
      if (at.kind == ShardPlaceKind::beginning || at.kind == ShardPlaceKind::time)
        table.place.shards.emplace(shard, at);
    }
    std::erase_if(table.place.shards, [&](const auto& entry) {
      return entry.second.kind == ShardPlaceKind::done && !listed.shards.contains(entry.first);
    });
    turn(table, acked);
    return true;
  });
  due_ = clock_.steadyNow() + std::min<Clock::Micros>(options_.duration / 4, options_.interval);
}

void LeaseKeeper::renew(const StreamPlace& acked) {
  bool same = true;
  update([&](LeaseTable& table) {
    same = table.epoch == *epoch_;
    if (same) turn(table, acked);
    return same;
  });
  if (same) return;
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              fmt::format("another worker of \"{}\" found that the stream lost what followed: take a new baseline",
                          options_.key));
}

void LeaseKeeper::renewBaseline() {
  update([&](LeaseTable& table) {
    if (table.baselineBy != options_.worker) return false;
    ++table.workers[options_.worker];
    return true;
  });
  if (table_.baselineBy == options_.worker) return;
  throw Error(ErrorCode::fenced, Retry::later,
              fmt::format("another worker of \"{}\" took this one for dead and reads the baseline now; try again",
                          options_.key));
}

bool LeaseKeeper::tend(const StreamPlace& acked) {
  if (clock_.steadyNow() < due_) return false;
  try {
    epoch_ ? renew(acked) : renewBaseline();
    std::erase_if(leaving_, [&](const auto& entry) { return !owns(entry.first); });
    due_ = clock_.steadyNow() + std::min<Clock::Micros>(options_.duration / 4, options_.interval);
    if (std::exchange(failing_, false) && warn_) warn_("the leases can be renewed again");
    return true;
  } catch (const Error& e) {
    if (e.code() != ErrorCode::storeUnavailable && e.code() != ErrorCode::connectionFailed) throw;
    if (!std::exchange(failing_, true) && warn_) warn_(fmt::format("the leases cannot be renewed: {}", e.message()));
    due_ = clock_.steadyNow() + options_.duration / 20;
    return false;
  }
}

bool LeaseKeeper::owns(const std::string& shard) const {
  const auto owner = table_.owners.find(shard);
  return owner != table_.owners.end() && owner->second == options_.worker;
}

bool LeaseKeeper::holds() const { return held_ && clock_.steadyNow() - renewed_ < options_.duration * 3 / 4; }

std::vector<std::string> LeaseKeeper::toRead() const {
  std::vector<std::string> mine;
  for (const auto& [shard, owner] : table_.owners) {
    if (owner == options_.worker && !leaving_.contains(shard)) mine.push_back(shard);
  }
  return mine;
}

std::vector<std::string> LeaseKeeper::surplus() const {
  std::vector<std::string> over = surplusOf(table_, options_.worker);
  std::erase_if(over, [&](const std::string& shard) { return leaving_.contains(shard); });
  return over;
}

void LeaseKeeper::giveBack(const std::string& shard, const ShardPlace& leftAt) {
  leaving_.insert_or_assign(shard, Leaving{leftAt, clock_.steadyNow()});
}

void LeaseKeeper::lost() {
  update([&](LeaseTable& table) {
    if (!epoch_ || table.epoch != *epoch_) return false;
    table.epoch += 1;
    table.place = {};
    table.owners.clear();
    table.baselineBy.clear();
    return true;
  });
  epoch_.reset();
}

void LeaseKeeper::leave(const StreamPlace& acked) {
  update([&](LeaseTable& table) {
    if (!table.workers.contains(options_.worker)) return false;
    if (epoch_ && table.epoch == *epoch_) turn(table, acked);
    table.workers.erase(options_.worker);
    std::erase_if(table.owners, [&](const auto& owned) { return owned.second == options_.worker; });
    if (table.baselineBy == options_.worker) table.baselineBy.clear();
    return true;
  });
  held_ = false;
}

}  // namespace tidegate::kinesis::detail
