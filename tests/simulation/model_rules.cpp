#include "simulation/model_rules.h"

#include <algorithm>
#include <charconv>

namespace tidegate::sim {

namespace {

/// -1, 0 or 1; 2 where the literal cannot be read as the value's type.
int compareTo(const Value& value, const std::string& literal) {
  if (const auto* text = value.getIf<std::string>()) {
    const int order = text->compare(literal);
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  double left = 0;
  if (const auto* integer = value.getIf<std::int64_t>())
    left = static_cast<double>(*integer);
  else if (const auto* real = value.getIf<double>())
    left = *real;
  else
    return 2;
  double right = 0;
  const auto [end, error] = std::from_chars(literal.data(), literal.data() + literal.size(), right);
  if (error != std::errc{} || end != literal.data() + literal.size()) return 2;
  return left < right ? -1 : left > right ? 1 : 0;
}

bool holdsFor(const std::string& op, int order) {
  if (order == 2) return false;
  if (op == "gt") return order > 0;
  if (op == "gte") return order >= 0;
  if (op == "lt") return order < 0;
  if (op == "lte") return order <= 0;
  return order == 0;
}

bool filterHolds(const ModelFilter& filter, const Claims& claims, const ModelRow& row) {
  const auto cell = row.find(filter.column);
  if (cell == row.end() || cell->second.isNull()) return false;
  std::vector<std::string> candidates = filter.literals;
  if (!filter.claim.empty()) {
    const auto claim = claims.find(filter.claim);
    if (claim == claims.end() || claim->second.empty()) return false;
    candidates = claim->second;
  }
  if (filter.op == "neq") {  // none of them equal, and every one comparable
    return std::all_of(candidates.begin(), candidates.end(), [&](const std::string& literal) {
      const int order = compareTo(cell->second, literal);
      return order != 2 && order != 0;
    });
  }
  return std::any_of(candidates.begin(), candidates.end(),
                     [&](const std::string& literal) { return holdsFor(filter.op, compareTo(cell->second, literal)); });
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

std::string valueJson(const ModelFilter& filter) {
  if (!filter.claim.empty()) return quoted("jwt:" + filter.claim);
  if (filter.literals.size() == 1 && filter.op != "in") return quoted(filter.literals[0]);
  std::string out = "[";
  for (const std::string& literal : filter.literals) out += (out.size() > 1 ? "," : "") + quoted(literal);
  return out + "]";
}

ModelFilter drawFilter(SimRandom& random) {
  static const std::vector<std::string> regions{"eu", "us", "asia", "it's; -- \"x\""};
  static const std::vector<std::string> orders{"eq", "neq", "gt", "gte", "lt", "lte"};
  switch (random.below(6)) {
    case 0:
      return {"owner", "eq", {}, "sub"};
    case 1:
      return {"region", "in", {}, "regions"};
    case 2:
      return {"region", random.pick(orders), {random.pick(regions)}, ""};
    case 3:
      return {"region", "in", {random.pick(regions), random.pick(regions)}, ""};
    case 4:
      return {"price", random.pick(orders), {random.chance(50) ? "2.5" : "7"}, ""};
    default:
      return {"qty", random.pick(orders), {std::to_string(random.between(-1, 11))}, ""};
  }
}

}  // namespace

bool ModelRules::sees(const Claims& claims, const std::string& table, const ModelRow& row) const {
  if (buckets.empty()) return true;
  return std::any_of(buckets.begin(), buckets.end(), [&](const ModelBucket& bucket) {
    const auto& names = bucket.tables;
    if (!names.empty() && std::find(names.begin(), names.end(), table) == names.end()) return false;
    return std::all_of(bucket.filters.begin(), bucket.filters.end(),
                       [&](const ModelFilter& filter) { return filterHolds(filter, claims, row); });
  });
}

std::string ModelRules::json() const {
  std::string out = "{\"version\":1,\"buckets\":[";
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    out += (b ? "," : "") + std::string("{\"name\":\"b") + std::to_string(b) + "\",\"tables\":[";
    for (std::size_t i = 0; i < buckets[b].tables.size(); ++i) out += (i ? "," : "") + quoted(buckets[b].tables[i]);
    out += "],\"filters\":[";
    for (std::size_t i = 0; i < buckets[b].filters.size(); ++i) {
      const ModelFilter& filter = buckets[b].filters[i];
      out += (i ? "," : "") + std::string("{\"column\":") + quoted(filter.column) + ",\"op\":" + quoted(filter.op) +
             ",\"value\":" + valueJson(filter) + "}";
    }
    out += "]}";
  }
  return out + "]}";
}

ModelRules drawRules(const Plan& plan, SimRandom& random) {
  ModelRules rules;
  const auto buckets = random.between(1, 3);
  for (std::int64_t b = 0; b < buckets; ++b) {
    ModelBucket& bucket = rules.buckets.emplace_back();
    for (const TablePlan& table : plan.tables) {
      if (random.chance(50)) bucket.tables.push_back(table.name);
    }
    const auto filters = random.between(random.chance(15) ? 0 : 1, 2);
    for (std::int64_t f = 0; f < filters; ++f) bucket.filters.push_back(drawFilter(random));
  }
  return rules;
}

Claims drawClaims(SimRandom& random) {
  static const std::vector<std::string> users{"u1", "u2", "u3", "U1", "nobody"};
  static const std::vector<std::string> regions{"eu", "us", "asia"};
  Claims claims;
  if (random.chance(85)) claims["sub"] = {random.pick(users)};
  if (random.chance(75)) claims["regions"] = {random.pick(regions), random.pick(regions)};
  return claims;
}

std::string show(const Claims& claims) {
  std::string text;
  for (const auto& [name, values] : claims) {
    text += (text.empty() ? "" : " ") + name + "=";
    for (const std::string& value : values) text += value + (&value == &values.back() ? "" : ",");
  }
  return "{" + text + "}";
}

}  // namespace tidegate::sim
