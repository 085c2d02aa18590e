#include "tidegate/gateway/partitioned_gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <iterator>
#include <set>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate {
namespace {

constexpr std::size_t kMostPartitions = 10'000;

[[noreturn]] void badMap(const std::string& what) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "partition map: " + what);
}

/// Which of a partition's tables decide whether a client needs it: `named` tables alone, or others too.
struct Needs {
  std::vector<std::set<std::string_view>> tables;  ///< by partition
  std::set<std::string_view> ranged;
};

Needs needsOf(const PartitionMap& map) {
  Needs needs;
  needs.tables.resize(map.partitions);
  for (const PartitionMap::Range& range : map.ranges) {
    needs.tables[range.partition].insert(range.table);
    needs.ranged.insert(range.table);
  }
  return needs;
}

/// The part of a push that one partition gets, and where its deltas stand in the whole.
struct PushPart {
  std::size_t partition = 0;
  SyncPush push;
  std::vector<std::size_t> places;
};

std::vector<PushPart> split(const SyncPush& push, const std::vector<std::size_t>& where) {
  std::vector<PushPart> parts;
  for (std::size_t i = 0; i < where.size(); ++i) {
    auto part = std::find_if(parts.begin(), parts.end(), [&](const PushPart& p) { return p.partition == where[i]; });
    if (part == parts.end()) {
      parts.push_back({where[i], {push.clientId, {}, push.lastSeenHlc}, {}});
      part = parts.end() - 1;
    }
    part->push.deltas.push_back(push.deltas[i]);
    part->places.push_back(i);
  }
  return parts;
}

/// Takes a part's answer into the whole push's. @return whether the part was accepted.
bool take(PushResult& whole, const PushPart& part, PushResult answer) {
  whole.serverHlc = std::max(whole.serverHlc, answer.serverHlc);
  for (std::size_t i = 0; i < answer.verdicts.size(); ++i) {
    whole.verdicts[part.places[i]] = std::move(answer.verdicts[i]);
  }
  whole.applied += answer.applied;
  whole.duplicates += answer.duplicates;
  whole.noEffect += answer.noEffect;
  if (answer.status == PushStatus::accepted) return true;
  whole.status = answer.status;
  whole.message = fmt::format("partition {}: {}", part.partition, answer.message);
  return false;
}

}  // namespace

std::size_t PartitionMap::of(std::string_view table, std::string_view rowId) const {
  const Range* found = nullptr;
  for (const Range& range : ranges) {
    if (range.table != table || std::string_view(range.firstRowId) > rowId) continue;
    if (found == nullptr || found->firstRowId < range.firstRowId) found = &range;
  }
  return found != nullptr ? found->partition : others;
}

std::string PartitionedSince::text() const {
  std::string out;
  for (const Hlc part : parts) {
    if (!out.empty()) out.push_back('.');
    out += std::to_string(part.raw);
  }
  return out;
}

PartitionedSince PartitionedSince::parse(std::string_view text) {
  PartitionedSince since;
  while (!text.empty()) {
    Hlc& part = since.parts.emplace_back();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), part.raw);
    const auto used = static_cast<std::size_t>(end - text.data());
    const bool more = used < text.size();
    if (error != std::errc{} || since.parts.size() > kMostPartitions ||
        (more && (text[used] != '.' || used + 1 == text.size()))) {
      throw Error(ErrorCode::parseError, Retry::never, "since: expected decimal stamps with dots between");
    }
    text.remove_prefix(more ? used + 1 : used);
  }
  return since;
}

bool PartitionedSnapshot::next(RowDelta& row) {
  for (; at_ < parts_.size(); ++at_) {
    if (parts_[at_].next(row)) return true;
  }
  return false;
}

PartitionedGateway::PartitionedGateway(std::vector<std::shared_ptr<Gateway>> partitions, PartitionMap map)
    : partitions_(std::move(partitions)), map_(std::move(map)) {
  if (map_.partitions == 0 || map_.partitions > kMostPartitions) badMap("partitions must be 1 to 10,000");
  if (partitions_.size() != map_.partitions) {
    badMap(fmt::format("it has {} partitions, and {} gateways were given", map_.partitions, partitions_.size()));
  }
  if (std::count(partitions_.begin(), partitions_.end(), nullptr) != 0) badMap("a gateway is missing");
  if (map_.others >= map_.partitions) badMap("others names a partition that there is not");
  std::set<std::pair<std::string_view, std::string_view>> starts;
  for (const PartitionMap::Range& range : map_.ranges) {
    if (range.table.empty()) badMap("a range names no table");
    if (range.partition >= map_.partitions)
      badMap("a range of \"" + range.table + "\" names a partition that there is not");
    if (!starts.emplace(range.table, range.firstRowId).second)
      badMap("two ranges of \"" + range.table + "\" begin alike");
  }
  for (const PartitionMap::Range& range : map_.ranges) {
    if (!starts.contains({range.table, ""})) badMap("no range of \"" + range.table + "\" begins at \"\"");
  }
}

PushResult PartitionedGateway::handlePush(const SyncPush& push, PushContext context) {
  std::vector<std::size_t> where;
  where.reserve(push.deltas.size());
  for (const RowDelta& delta : push.deltas) where.push_back(map_.of(delta.table, delta.rowId));
  const bool one = std::adjacent_find(where.begin(), where.end(), std::not_equal_to<>()) == where.end();
  if (one) return partitions_[where.empty() ? map_.others : where.front()]->handlePush(push, context);
  if (context.notes != nullptr) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "ingest notes go with a push to one partition; give each partition an ingest sender of its own");
  }
  return pushToSeveral(push, context, where);
}

PushResult PartitionedGateway::pushToSeveral(const SyncPush& push, PushContext context,
                                             const std::vector<std::size_t>& where) {
  const std::vector<PushPart> parts = split(push, where);
  PushResult whole;
  whole.verdicts.assign(push.deltas.size(), DeltaVerdict{Verdict::notApplied, {}});
  for (const PushPart& part : parts) {
    PushResult answer = partitions_[part.partition]->checkPush(part.push, context);
    if (answer.status == PushStatus::accepted) continue;
    take(whole, part, std::move(answer));
    return whole;
  }
  for (const PushPart& part : parts) {
    if (!take(whole, part, partitions_[part.partition]->handlePush(part.push, context))) return whole;
  }
  return whole;
}

std::vector<std::size_t> PartitionedGateway::partitionsOf(const Claims& claims) const {
  const Needs needs = needsOf(map_);
  std::vector<std::size_t> found;
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    const SyncRules rules = partitions_[p]->syncRules();
    const ClientView view = rules.compile(claims);
    bool needed = std::any_of(needs.tables[p].begin(), needs.tables[p].end(),
                              [&](std::string_view table) { return !view.excludesTable(table); });
    if (p == map_.others && !needed) {
      needed = !view.excludesTable("");  // stands for every table that no bucket names
      for (const RuleBucket& bucket : rules.buckets()) {
        for (const std::string& table : bucket.tables) {
          needed = needed || (!needs.ranged.contains(table) && !view.excludesTable(table));
        }
      }
    }
    if (needed) found.push_back(p);
  }
  return found;
}

PartitionedPage PartitionedGateway::handlePull(const PartitionedPull& pull, const Claims& claims) {
  PartitionedPage page;
  page.since = pull.since;
  if (page.since.parts.empty()) page.since.parts.resize(partitions_.size());
  if (page.since.parts.size() != partitions_.size()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("since has {} parts, and there are {} partitions; take a snapshot", page.since.parts.size(),
                            partitions_.size()));
  }
  std::vector<std::size_t> wanted = partitionsOf(claims);
  for (std::size_t p = 0; p < partitions_.size(); ++p) {
    if (page.since.parts[p].raw != 0 && std::find(wanted.begin(), wanted.end(), p) == wanted.end()) wanted.push_back(p);
  }
  std::sort(wanted.begin(), wanted.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(page.since.parts[a], a) < std::pair(page.since.parts[b], b);
  });
  for (const std::size_t p : wanted) {
    if (page.deltas.size() >= pull.maxDeltas && pull.maxDeltas != 0) {
      page.hasMore = true;
      break;
    }
    PullResult part =
        partitions_[p]->handlePull({pull.clientId, page.since.parts[p], pull.maxDeltas - page.deltas.size()}, claims);
    if (part.mustResync) {
      return PartitionedPage{{}, pull.since, false, true, fmt::format("partition {}: {}", p, part.reason)};
    }
    std::move(part.deltas.begin(), part.deltas.end(), std::back_inserter(page.deltas));
    page.since.parts[p] = part.serverHlc;
    page.hasMore = page.hasMore || part.hasMore;
  }
  return page;
}

PartitionedSnapshot PartitionedGateway::snapshot(const Claims& claims, std::string_view clientId) {
  PartitionedSnapshot whole;
  whole.since_.parts.resize(partitions_.size());
  for (const std::size_t p : partitionsOf(claims)) {
    whole.parts_.push_back(partitions_[p]->snapshot(claims, clientId));
    whole.since_.parts[p] = whole.parts_.back().serverHlc();
  }
  return whole;
}

std::optional<Row> PartitionedGateway::row(std::string_view table, std::string_view rowId) const {
  return partitions_[map_.of(table, rowId)]->row(table, rowId);
}

void PartitionedGateway::setSyncRules(const SyncRules& rules) {
  for (const auto& partition : partitions_) partition->setSyncRules(rules);
}

}  // namespace tidegate
