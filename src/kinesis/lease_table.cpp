#include "kinesis/detail/lease_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tidegate/http/message.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::string_view kLeaseStart = "l1 ";

std::string_view cutAt(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view first = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return first;
}

bool readNumber(std::string_view text, std::uint64_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

/// `name=value;…`, both percent-encoded. @return false: it is no such list, or names something twice.
template <class Take>
bool readList(std::string_view line, const Take& take) {
  while (!line.empty()) {
    std::string_view entry = cutAt(line, ';');
    const auto name = http::percentDecode(cutAt(entry, '='));
    const auto value = http::percentDecode(entry);
    if (!name || !value || name->empty() || value->empty() || !take(*name, *value)) return false;
  }
  return true;
}

bool parentsRead(const StreamPlace& place, const ShardPlace& shard) {
  return std::all_of(shard.parents.begin(), shard.parents.end(), [&](const std::string& parent) {
    const auto at = place.shards.find(parent);
    return at == place.shards.end() || at->second.kind == ShardPlaceKind::done;
  });
}

using Shares = std::map<std::string, std::vector<std::string>, std::less<>>;

/// What each worker that lives has of what can be read.
Shares sharesOf(const LeaseTable& table, const std::vector<std::string>& readable) {
  Shares shares;
  for (const auto& [worker, beats] : table.workers) shares[worker];
  for (const std::string& shard : readable) {
    const auto owner = table.owners.find(shard);
    if (owner == table.owners.end()) continue;
    if (const auto share = shares.find(owner->second); share != shares.end()) share->second.push_back(shard);
  }
  return shares;
}

/// A shard read to its end has its children in the same place; they are the group's from now on.
void checkpoint(LeaseTable& table, const LeaseTurn& turn) {
  for (auto owned = table.owners.begin(); owned != table.owners.end();) {
    const std::string& shard = owned->first;
    const auto acked = turn.acked.shards.find(shard);
    const auto at = table.place.shards.find(shard);
    if (owned->second != turn.me || acked == turn.acked.shards.end() || at == table.place.shards.end()) {
      ++owned;
      continue;
    }
    if (compareShardPlaces(acked->second, at->second) == std::strong_ordering::greater) {
      const std::vector<std::string> parents = at->second.parents;
      at->second = acked->second;
      if (at->second.parents.empty()) at->second.parents = parents;
    }
    if (at->second.kind != ShardPlaceKind::done) {
      ++owned;
      continue;
    }
    for (const auto& [name, child] : turn.acked.shards) {
      if (std::find(child.parents.begin(), child.parents.end(), shard) == child.parents.end()) continue;
      table.place.shards.emplace(name, ShardPlace{.millis = child.millis, .parents = child.parents});
    }
    owned = table.owners.erase(owned);
  }
  if (table.baselineBy == turn.me && !turn.acked.tables.empty()) {
    table.place.tables = turn.acked.tables;
    table.baselineBy.clear();
  }
}

}  // namespace

std::string leaseText(const LeaseTable& table) {
  std::string out = fmt::format("{}{} {}\n{}\n", kLeaseStart, table.version, table.epoch, placeText(table.place));
  const auto append = [&](const std::string& name, std::string_view value) {
    if (out.back() != '\n') out.push_back(';');
    out += http::percentEncode(name) + "=" + http::percentEncode(value);
  };
  for (const auto& [shard, worker] : table.owners) append(shard, worker);
  out.push_back('\n');
  for (const auto& [worker, beats] : table.workers) append(worker, std::to_string(beats));
  return out + "\n" + http::percentEncode(table.baselineBy) + "\n";
}

std::optional<LeaseTable> parseLeases(std::string_view text) {
  if (!text.starts_with(kLeaseStart) || std::count(text.begin(), text.end(), '\n') != 5 || !text.ends_with('\n')) {
    return std::nullopt;
  }
  LeaseTable table;
  std::string_view head = cutAt(text, '\n').substr(kLeaseStart.size());
  const std::string_view version = cutAt(head, ' ');
  if (!readNumber(version, table.version) || !readNumber(head, table.epoch)) return std::nullopt;
  auto place = parsePlace(cutAt(text, '\n'));
  if (!place) return std::nullopt;
  table.place = std::move(*place);
  const bool owners = readList(cutAt(text, '\n'), [&](const std::string& shard, const std::string& worker) {
    return table.owners.emplace(shard, worker).second;
  });
  const bool workers = readList(cutAt(text, '\n'), [&](const std::string& worker, const std::string& beats) {
    std::uint64_t number = 0;
    return readNumber(beats, number) && table.workers.emplace(worker, number).second;
  });
  const auto baselineBy = http::percentDecode(cutAt(text, '\n'));
  if (!owners || !workers || !baselineBy) return std::nullopt;
  table.baselineBy = *baselineBy;
  return table;
}

std::vector<std::string> readableShards(const LeaseTable& table) {
  std::vector<std::string> readable;
  for (const auto& [name, at] : table.place.shards) {
    if (at.kind != ShardPlaceKind::done && parentsRead(table.place, at)) readable.push_back(name);
  }
  return readable;
}

void takeTurn(LeaseTable& table, const LeaseTurn& turn) {
  for (const std::string& dead : turn.dead) {
    if (dead == turn.me) continue;
    table.workers.erase(dead);
    if (table.baselineBy == dead) table.baselineBy.clear();
  }
  ++table.workers[turn.me];
  checkpoint(table, turn);
  std::erase_if(table.owners, [&](const auto& owned) {
    return !table.workers.contains(owned.second) || !table.place.shards.contains(owned.first) ||
           (owned.second == turn.me && turn.givenBack.contains(owned.first));
  });
  const std::vector<std::string> readable = readableShards(table);
  const Shares shares = sharesOf(table, readable);
  std::size_t mine = shares.at(turn.me).size();
  const std::size_t least = readable.size() / shares.size();
  const std::size_t most = least + (readable.size() % shares.size() != 0 ? 1 : 0);
  const bool othersLack = std::any_of(shares.begin(), shares.end(), [&](const auto& share) {
    return share.first != turn.me && share.second.size() < least;
  });
  for (const std::string& shard : readable) {
    // What goes beyond the least is left to those who have less than that.
    if (mine >= (othersLack ? least : most)) break;
    if (turn.givenBack.contains(shard)) continue;
    if (table.owners.emplace(shard, turn.me).second) ++mine;
  }
}

std::vector<std::string> surplusOf(const LeaseTable& table, const std::string& worker) {
  const std::vector<std::string> readable = readableShards(table);
  const Shares shares = sharesOf(table, readable);
  const auto mine = shares.find(worker);
  if (mine == shares.end()) return {};
  const std::size_t least = readable.size() / shares.size();
  const std::size_t most = least + (readable.size() % shares.size() != 0 ? 1 : 0);
  std::size_t lacking = 0;
  for (const auto& [name, share] : shares) lacking += share.size() < least ? least - share.size() : 0;
  std::size_t keep = std::min(mine->second.size(), most);
  if (keep > least && lacking > 0) {
    // One each, beginning with the first by name, until those who lack have enough.
    std::size_t before = 0;
    for (const auto& [name, share] : shares) {
      if (name == worker) break;
      before += share.size() > least ? 1 : 0;
    }
    if (before < lacking) keep = least;
  }
  return {mine->second.begin() + static_cast<std::ptrdiff_t>(keep), mine->second.end()};
}

void raisePlace(StreamPlace& place, const StreamPlace& to) {
  for (auto& [name, at] : place.shards) {
    const auto other = to.shards.find(name);
    if (other == to.shards.end()) continue;
    if (compareShardPlaces(other->second, at) != std::strong_ordering::greater) continue;
    std::vector<std::string> parents = at.parents.empty() ? other->second.parents : std::move(at.parents);
    at = other->second;
    at.parents = std::move(parents);
  }
}

}  // namespace tidegate::kinesis::detail
