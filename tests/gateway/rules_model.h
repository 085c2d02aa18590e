/// A plain evaluator of sync rules for property tests, and the random rules and rows that it understands: every
/// literal and cell carries what it means, so the model parses nothing and shares no code with what it checks.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate::rules_model {

__extension__ typedef __int128 Wide;

/// A text and everything that it can be read as.
struct Meaning {
  std::string text;
  std::optional<Wide> thousandths;  ///< as an exact number
  bool nan = false;
  std::optional<Wide> micros;  ///< as a date or timestamp
  std::optional<std::int64_t> time;
  std::optional<bool> boolean;
  std::optional<std::string> uuid;  ///< 16 octets
  bool jsonNumber = false;          ///< may be written in JSON without quotes
};

/// A cell of a row: a value, and the meaning that fits its kind.
struct Cell {
  Value value;
  Meaning meaning;
};

struct Filter {
  std::string column;
  RuleOp op;
  std::vector<Meaning> literals;
  std::string claim;
};
struct Bucket {
  std::vector<std::string> tables;
  std::vector<Filter> filters;
};
using ModelClaims = std::map<std::string, std::vector<Meaning>>;
using ModelRow = std::map<std::string, Cell>;

/// RFC 4648 base64 by writing out the bits.
inline std::optional<std::string> octetsOf(std::string text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.pop_back();
  std::string bits, octets;
  for (char c : text) {
    const auto digit = digits.find(c);
    if (digit == std::string::npos) return std::nullopt;
    for (int b = 5; b >= 0; --b) bits += ((digit >> b) & 1) != 0 ? '1' : '0';
  }
  while (bits.size() >= 8) {
    octets += static_cast<char>(std::strtol(bits.substr(0, 8).c_str(), nullptr, 2));
    bits.erase(0, 8);
  }
  if (bits.find('1') != std::string::npos) return std::nullopt;
  return octets;
}

enum class Order { unreadable, less, equal, greater };

template <class T>
Order orderOf(const T& a, const T& b) {
  return a < b ? Order::less : b < a ? Order::greater : Order::equal;
}
template <class T>
Order orderOf(const std::optional<T>& cell, const std::optional<T>& literal) {
  return literal ? orderOf(*cell, *literal) : Order::unreadable;
}

/// Whether one cell equals one literal, and how they are ordered.
struct Comparison {
  bool readable = false;
  bool equal = false;
  int order = 0;  ///< -1, 0, 1; 2 where they have no order
};

inline Comparison made(Order order) {
  if (order == Order::unreadable) return {};
  return {true, order == Order::equal, order == Order::less ? -1 : order == Order::equal ? 0 : 1};
}

inline Comparison compareNumbers(const Cell& cell, const Meaning& literal) {
  const bool real = cell.value.kind() == ValueKind::real;
  const bool cellNan = real ? std::isnan(cell.value.as<double>()) : cell.meaning.nan;
  if (!literal.nan && !literal.thousandths) return {};
  if (cellNan || literal.nan) return {true, cellNan && literal.nan, 2};
  if (real) return made(orderOf(cell.value.as<double>(), std::strtod(literal.text.c_str(), nullptr)));
  return made(orderOf(cell.meaning.thousandths, literal.thousandths));
}

inline Comparison compare(const Cell& cell, const Meaning& literal) {
  switch (cell.value.kind()) {
    case ValueKind::boolean: {
      if (!literal.boolean) return {};
      return {true, *literal.boolean == *cell.meaning.boolean, 2};
    }
    case ValueKind::int64:
    case ValueKind::uint64:
    case ValueKind::decimal:
    case ValueKind::real:
      return compareNumbers(cell, literal);
    case ValueKind::text:
      if (cell.meaning.micros && literal.micros) return made(orderOf(cell.meaning.micros, literal.micros));
      return made(orderOf(cell.meaning.text, literal.text));
    case ValueKind::bytes:
      return made(orderOf(octetsOf(cell.meaning.text), octetsOf(literal.text)));
    case ValueKind::date:
    case ValueKind::timestamp:
      return made(orderOf(cell.meaning.micros, literal.micros));
    case ValueKind::time:
      return made(orderOf(cell.meaning.time, literal.time));
    case ValueKind::uuid:
      return made(orderOf(cell.meaning.uuid, literal.uuid));
    default:
      return {};
  }
}

inline bool holds(const Filter& filter, const ModelRow& row, const ModelClaims& claims) {
  const auto cell = row.find(filter.column);
  if (cell == row.end() || cell->second.value.isNull()) return false;
  std::map<std::string, Meaning> literals;  // by text: the same literal twice is one
  for (const Meaning& m : filter.literals) literals.emplace(m.text, m);
  if (!filter.claim.empty()) {
    const auto claim = claims.find(filter.claim);
    if (claim == claims.end()) return false;
    for (const Meaning& m : claim->second) literals.emplace(m.text, m);
  }
  if (literals.empty()) return false;
  bool any = false, allReadable = true;
  int order = 2;
  for (const auto& [text, literal] : literals) {
    const Comparison c = compare(cell->second, literal);
    any = any || c.equal;
    allReadable = allReadable && c.readable;
    if (literals.size() == 1 && c.readable) order = c.order;
  }
  switch (filter.op) {
    case RuleOp::eq:
    case RuleOp::in:
      return any;
    case RuleOp::neq:
      return allReadable && !any;
    case RuleOp::gt:
      return order == 1;
    case RuleOp::gte:
      return order == 1 || order == 0;
    case RuleOp::lt:
      return order == -1;
    case RuleOp::lte:
      return order == -1 || order == 0;
  }
  return false;
}

inline bool applies(const Bucket& bucket, const std::string& table) {
  if (bucket.tables.empty()) return true;
  for (const auto& t : bucket.tables) {
    if (t == table) return true;
  }
  return false;
}

/// Whether the rules show the row to a client with these claims.
inline bool shows(const std::vector<Bucket>& buckets, const std::string& table, const ModelRow& row,
                  const ModelClaims& claims) {
  if (buckets.empty()) return true;
  for (const Bucket& bucket : buckets) {
    bool all = applies(bucket, table);
    for (const Filter& filter : bucket.filters) all = all && holds(filter, row, claims);
    if (all) return true;
  }
  return false;
}

/// The JSON of rules, written by hand.
inline std::string jsonOf(const std::vector<Bucket>& buckets) {
  static const char* const kOps[] = {"eq", "neq", "in", "gt", "gte", "lt", "lte"};
  const auto literal = [](const Meaning& m) { return m.jsonNumber ? m.text : "\"" + m.text + "\""; };
  std::string out = R"({"version":2,"buckets":[)";
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    out += (b > 0 ? "," : "") + std::string(R"({"name":"b)") + std::to_string(b) + R"(","tables":[)";
    for (std::size_t t = 0; t < buckets[b].tables.size(); ++t)
      out += (t > 0 ? ",\"" : "\"") + buckets[b].tables[t] + "\"";
    out += R"(],"filters":[)";
    for (std::size_t f = 0; f < buckets[b].filters.size(); ++f) {
      const Filter& filter = buckets[b].filters[f];
      out += (f > 0 ? "," : "") + std::string(R"({"column":")") + filter.column + R"(","op":")" +
             kOps[static_cast<int>(filter.op)] + R"(","value":)";
      if (!filter.claim.empty())
        out += "\"jwt:" + filter.claim + "\"";
      else if (filter.literals.size() == 1)
        out += literal(filter.literals[0]);
      else {
        for (std::size_t i = 0; i < filter.literals.size(); ++i)
          out += (i > 0 ? "," : "[") + literal(filter.literals[i]);
        out += "]";
      }
      out += "}";
    }
    out += "]}";
  }
  return out + "]}";
}

}  // namespace tidegate::rules_model
