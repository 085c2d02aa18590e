/// A plain model of rows under last-writer-wins: it keeps every delta ever seen and finds each column's winner anew.
/// Shares no code with what it checks.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "support/property.h"
#include "tidegate/core/json.h"
#include "tidegate/gateway/gateway.h"

namespace tidegate::test {

using ModelRow = std::map<std::string, Value>;
using RowKey = std::pair<std::string, std::string>;
/// Visible rows by (table, row id).
using ModelView = std::map<RowKey, ModelRow>;

inline bool sameRow(const ModelRow& a, const ModelRow& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && sameValue(x.second, y.second); });
}

inline bool sameView(const ModelView& a, const ModelView& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first && sameRow(x.second, y.second); });
}

inline std::string show(const ModelView& view) {
  std::string out;
  for (const auto& [key, row] : view) {
    out += key.first + "/" + key.second + " {";
    for (const auto& [column, value] : row) out += column + "=" + describe(value) + " ";
    out += "}\n";
  }
  return out;
}

class LwwModel {
 public:
  void add(const RowDelta& delta) { deltas_[{delta.table, delta.rowId}].push_back(delta); }

  std::optional<ModelRow> row(const RowKey& key) const {
    const auto found = deltas_.find(key);
    if (found == deltas_.end()) return std::nullopt;
    using At = std::pair<std::uint64_t, std::string>;
    const auto at = [](const RowDelta& d) { return At{d.hlc.raw, d.clientId}; };
    At erased{0, ""};
    for (const RowDelta& d : found->second) {
      if (d.op == DeltaOp::erase) erased = std::max(erased, at(d));
    }
    bool alive = false;
    std::map<std::string, std::pair<At, Value>> winners;
    for (const RowDelta& d : found->second) {
      if (d.op == DeltaOp::erase || at(d) <= erased) continue;
      alive = alive || d.op == DeltaOp::insert || !d.columns.empty();
      for (const ColumnValue& c : d.columns) {
        const auto [held, fresh] = winners.try_emplace(c.column, at(d), c.value);
        if (fresh || held->second.first > at(d)) continue;
        const bool tie = held->second.first == at(d);
        if (tie && canonicalJson(toJson(held->second.second)) >= canonicalJson(toJson(c.value))) continue;
        held->second = {at(d), c.value};
      }
    }
    if (!alive) return std::nullopt;
    ModelRow row;
    for (const auto& [column, winner] : winners) row[column] = winner.second;
    return row;
  }

  ModelView view() const {
    ModelView all;
    for (const auto& [key, deltas] : deltas_) {
      if (auto visible = row(key)) all[key] = *visible;
    }
    return all;
  }

 private:
  std::map<RowKey, std::vector<RowDelta>> deltas_;
};

/// A client that applies what it is given, in order, and resolves nothing.
inline void applyTo(ModelView& replica, const RowDelta& delta) {
  const RowKey key{delta.table, delta.rowId};
  if (delta.op == DeltaOp::erase) {
    replica.erase(key);
    return;
  }
  ModelRow& row = replica[key];
  if (delta.op == DeltaOp::insert) row.clear();
  for (const ColumnValue& c : delta.columns) row[c.column] = c.value;
}

inline void applyTo(ModelView& replica, const std::vector<RowDelta>& deltas) {
  for (const RowDelta& delta : deltas) applyTo(replica, delta);
}

/// Pulls until there is no more. @return the position reached.
inline Hlc pullAll(Gateway& gateway, ModelView& replica, Hlc since, std::size_t page, const std::string& client = "r",
                   const Claims& claims = {}) {
  for (;;) {
    const PullResult result = gateway.handlePull({client, since, page}, claims);
    EXPECT_FALSE(result.mustResync) << result.reason;
    applyTo(replica, result.deltas);
    since = result.serverHlc;
    if (!result.hasMore) return since;
  }
}

inline ModelView stateOf(GatewaySnapshot snapshot) {
  ModelView view;
  RowDelta row;
  while (snapshot.next(row)) applyTo(view, row);
  return view;
}

inline constexpr std::uint64_t kBaseMs = 1'700'000'000'000;

/// Random deltas over few rows and columns, so that they meet.
struct DeltaMaker {
  Random& random;
  std::vector<std::string> tables{"users", "orders"};
  std::vector<std::string> rows{"1", "2", "3", "4"};
  std::vector<std::string> columns{"a", "b", "c", "owner"};
  std::uint64_t span = 40;  ///< stamps

  Value value(const std::string& column) {
    if (column == "owner")
      return random.chance(10) ? Value(nullptr) : Value(static_cast<std::int64_t>(random.below(3)));
    switch (random.below(8)) {
      case 0:
        return nullptr;
      case 1:
        return random.chance(50);
      case 2:
        return 1.0;
      case 3:
        return Decimal{"1.0"};
      case 4:
        return "text " + std::to_string(random.below(3));
      default:
        return static_cast<std::int64_t>(random.below(4));
    }
  }

  RowDelta make(const std::string& client) {
    RowDelta d;
    const auto kind = random.below(10);
    d.op = kind < 4 ? DeltaOp::insert : kind < 8 ? DeltaOp::update : DeltaOp::erase;
    d.table = random.pick(tables);
    d.rowId = random.pick(rows);
    d.clientId = client;
    d.hlc = Hlc::of(kBaseMs - 1000 + random.below(span), static_cast<std::uint16_t>(random.below(2)));
    if (d.op != DeltaOp::erase) {
      for (const std::string& column : columns) {
        if (random.chance(45)) d.columns.push_back({column, value(column)});
      }
      random.shuffle(d.columns);
    }
    return d;
  }
};

}  // namespace tidegate::test
