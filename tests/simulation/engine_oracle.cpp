#include "simulation/engine_oracle.h"

#include <algorithm>

namespace tidegate::sim {
namespace {

const Value& cellOf(const TableShape& shape, const std::vector<Value>& row, std::string_view column) {
  for (std::size_t i = 0; i < shape.schema.columns.size(); ++i) {
    if (shape.schema.columns[i].name == column) return row[i];
  }
  throw std::logic_error("the simulated table has no column " + std::string(column));
}

bool isPoison(const SimChange& change) {
  return !change.after.empty() && cellOf(*change.shape, change.after, "note") == Value("poison");
}

std::string rowText(const SimRow& row) {
  std::string text;
  for (const auto& [column, value] : row) text += fmt::format(" {}={}", column, describe(value, 20));
  return text;
}

}  // namespace

void SimLetters::add(const DeadLetter& letter) {
  if (world_.faults && world_.random.chance(10)) {
    throw Error(ErrorCode::storeUnavailable, Retry::later, "the letter box is jammed");
  }
  world_.trace.line("letters", "{} at {}: {}", letter.pipeline, letter.positionText, letter.key);
  const auto [at, isNew] = letters_.try_emplace({letter.pipeline, letter.positionText}, letter);
  if (isNew) at->second.id = ++made_;
}

std::vector<DeadLetter> SimLetters::read(std::string_view pipeline, std::uint64_t afterId, std::size_t limit) const {
  std::vector<DeadLetter> found;
  for (const auto& [key, letter] : letters_) {
    if ((pipeline.empty() || letter.pipeline == pipeline) && letter.id > afterId) found.push_back(letter);
  }
  std::sort(found.begin(), found.end(), [](const DeadLetter& a, const DeadLetter& b) { return a.id < b.id; });
  if (found.size() > limit) found.resize(limit);
  return found;
}

bool SimLetters::remove(std::uint64_t id) {
  return std::erase_if(letters_, [id](const auto& entry) { return entry.second.id == id; }) > 0;
}

std::uint64_t SimLetters::purge(std::string_view pipeline) {
  return std::erase_if(letters_,
                       [&](const auto& entry) { return pipeline.empty() || entry.second.pipeline == pipeline; });
}

bool SimLetters::has(const std::string& pipeline, const LogPlace& place) const {
  const auto at = letters_.find({pipeline, placeText(place)});
  return at != letters_.end();
}

bool modelWants(const FilterPlan& filter, const TableShape& shape, const std::vector<Value>& row) {
  using Kind = FilterPlan::Kind;
  const Value& region = cellOf(shape, row, "region");
  const Value& amount = cellOf(shape, row, "amount");
  const Value& note = cellOf(shape, row, "note");
  const bool inRegion = !region.isNull() && region.as<std::string>() == filter.text;
  const bool enough = !amount.isNull() && amount.as<std::int64_t>() >= filter.number;
  switch (filter.kind) {
    case Kind::none:
      return true;
    case Kind::region:
      return inRegion;
    case Kind::amount:
      return enough;
    case Kind::either:
      return inRegion || enough;
    case Kind::both:
      return inRegion && enough;
    case Kind::note:
      return !note.isNull() && note.as<std::string>().substr(0, 2) == "n1";
  }
  return true;
}

SimRow modelRow(const TransformPlan& plan, const TableShape& shape, const std::vector<Value>& row) {
  SimRow made;
  for (std::size_t i = 0; i < row.size(); ++i) made[shape.schema.columns[i].name] = row[i];
  if (plan.dropNote) made.erase("note");
  if (plan.doubleAmount && !made["amount"].isNull()) made["amount"] = 2 * made["amount"].as<std::int64_t>();
  if (plan.renameAmount) {
    made["total"] = made["amount"];
    made.erase("amount");
  }
  if (plan.constant) made["origin"] = "sim";
  return made;
}

/// Whether the engine has reason to have left the change out, since the table needs a new baseline: somebody changed
/// rows in a way that the log does not tell.
bool EngineOracle::awaitsReread(const RoutePlan& route, const LogPlace& place) const {
  const auto baseline = target_.baselineOf(route.target);
  // Where changes come again, so do the reasons.
  const std::uint64_t first = baseline && !target_.source().bestEffort ? baseline->transaction + 1 : 1;
  for (std::uint64_t number = place.transaction; number >= first; --number) {
    const auto& changes = database_.commit(number).changes;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      if (changes[i].table != route.table || LogPlace{number, i + 1} > place) continue;
      if (changes[i].schema && changes[i].schema->rowsChanged) return true;
      if (changes[i].keyChanged && !changes[i].unchanged.empty() && target_.source().keyImages) return true;
    }
  }
  return false;
}

bool EngineOracle::durable(const LogPlace& place, const SimChange& change) const {
  const auto& routes = target_.pipeline().routes;
  const auto route =
      std::find_if(routes.begin(), routes.end(), [&](const RoutePlan& r) { return r.table == change.table; });
  if (route == routes.end() || change.op == ChangeOp::schemaChange) return true;
  if (const auto baseline = target_.baselineOf(route->target); baseline && place <= *baseline) return true;
  const bool was = !change.before.empty() && modelWants(route->filter, *change.shape, change.before);
  const bool is = !change.after.empty() && modelWants(route->filter, *change.shape, change.after);
  if (change.op != ChangeOp::truncate && !was && !is) return true;
  if (target_.applied(place)) return true;
  if (isPoison(change) && letters_.has(target_.pipeline().name, place)) return true;
  return awaitsReread(*route, place);
}

std::optional<LogPlace> EngineOracle::missingOf(std::uint64_t transaction) const {
  const auto& changes = database_.commit(transaction).changes;
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const LogPlace place{transaction, i + 1};
    if (!durable(place, changes[i])) return place;
  }
  return std::nullopt;
}

std::optional<LogPlace> EngineOracle::firstMissing(const LogPlace& place) {
  LogPlace at = target_.verified;
  while (at < place) {
    const bool whole = at.transaction == 0 || at.changes == database_.commit(at.transaction).changes.size();
    const LogPlace next = whole ? LogPlace{at.transaction + 1, 1} : LogPlace{at.transaction, at.changes + 1};
    if (next > place) break;
    if (!durable(next, database_.commit(next.transaction).changes[static_cast<std::size_t>(next.changes - 1)])) {
      return next;
    }
    at = next;
  }
  target_.verified = at;
  return std::nullopt;
}

std::string EngineOracle::difference() const {
  const bool blames = target_.pipeline().failure == FailurePolicy::deadLetter;
  for (const RoutePlan& route : target_.pipeline().routes) {
    const SourceTable& table = database_.tables()[route.table];
    const auto found = target_.tables().find(route.target);
    if (found == target_.tables().end()) return "table " + route.target + " is not there";
    std::map<std::string, SimRow> has = found->second.rows;
    for (const auto& [key, row] : table.rows) {
      const bool excused = blames && cellOf(*table.shape, row, "note") == Value("poison") && !route.transform.dropNote;
      const auto at = has.find(key);
      if (!excused && modelWants(route.filter, *table.shape, row)) {
        const SimRow wanted = modelRow(route.transform, *table.shape, row);
        if (at == has.end()) return fmt::format("{} lacks {}:{}", route.target, key, rowText(wanted));
        if (!(at->second == wanted)) {
          return fmt::format("{} has {}:{}; the source says{}", route.target, key, rowText(at->second),
                             rowText(wanted));
        }
      } else if (!excused) {
        continue;
      }
      has.erase(key);
    }
    if (!has.empty()) {
      return fmt::format("{} has {}:{}; the source has no such row", route.target, has.begin()->first,
                         rowText(has.begin()->second));
    }
  }
  return {};
}

}  // namespace tidegate::sim
