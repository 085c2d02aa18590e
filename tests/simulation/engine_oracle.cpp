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

/// `sub="b", id=9` as `keyText` has it.
std::string keyOfLetter(const std::string& text) {
  std::string key;
  for (std::size_t at = 0; at != std::string::npos;) {
    const std::size_t from = text.find('=', at) + 1, to = text.find(", ", from);
    key += (key.empty() ? "" : "|") + text.substr(from, to == std::string::npos ? to : to - from);
    at = to;
  }
  return key;
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
  ever_.emplace(letter.pipeline, letter.positionText);
  touched_.insert(letter.pipeline + " " + letter.table + " " + keyOfLetter(letter.key));
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
  if (world_.mutation == EngineMutation::keepLetters) return true;
  return std::erase_if(letters_, [id](const auto& entry) { return entry.second.id == id; }) > 0;
}

std::uint64_t SimLetters::purge(std::string_view pipeline) {
  return std::erase_if(letters_,
                       [&](const auto& entry) { return pipeline.empty() || entry.second.pipeline == pipeline; });
}

bool SimLetters::had(const std::string& pipeline, const LogPlace& place) const {
  return ever_.contains({pipeline, placeText(place)});
}

void SimLetters::repaired(const std::string& pipeline) {
  std::erase_if(touched_, [&](const std::string& row) { return row.starts_with(pipeline + " "); });
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
  if (isPoison(change) && letters_.had(target_.pipeline().name, place)) return true;
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

std::vector<std::string> EngineOracle::differences(bool exceptLetters) const {
  const std::string& pipeline = target_.pipeline().name;
  std::vector<std::string> all;
  for (const RoutePlan& route : target_.pipeline().routes) {
    const SourceTable& table = database_.tables()[route.table];
    const std::string& name = table.shape->schema.table;
    const auto found = target_.tables().find(route.target);
    if (found == target_.tables().end()) {
      all.push_back("table " + route.target + " is not there");
      continue;
    }
    const auto tell = [&](const std::string& key, const std::string& what) {
      if (exceptLetters && letters_.touched(pipeline, name, key)) return;
      all.push_back(fmt::format("{} {}: {}", route.target, key, what));
    };
    std::map<std::string, SimRow> has = found->second.rows;
    for (const auto& [key, row] : table.rows) {
      if (!modelWants(route.filter, *table.shape, row)) continue;
      const SimRow wanted = modelRow(route.transform, *table.shape, row);
      const auto at = has.find(key);
      if (at == has.end()) {
        tell(key, "lacks" + rowText(wanted));
      } else {
        if (!(at->second == wanted)) {
          tell(key, fmt::format("has{}; the source says{}", rowText(at->second), rowText(wanted)));
        }
        has.erase(at);
      }
    }
    for (const auto& [key, row] : has) tell(key, fmt::format("has{}; the source has no such row", rowText(row)));
  }
  return all;
}

}  // namespace tidegate::sim
