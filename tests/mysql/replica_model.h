/// What a replica would hold of tables with a column "ver" that only grows: rows by key, and whether one went back.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate::mysql {

class ReplicaModel {
 public:
  void apply(const ChangeEvent& event) {
    if (event.op == ChangeOp::progress) return;
    Table& table = tables_[event.shape->schema.table];
    switch (event.op) {
      case ChangeOp::baselineBegin:
        ++table.begins;
        table.begun = true;
        table.named.clear();
        return;
      case ChangeOp::baselineEnd:
        if (!table.begun) wrong = "a baseline ended that had not begun";
        std::erase_if(table.rows, [&](const auto& row) { return table.named.count(row.first) == 0; });
        table.begun = false;
        table.whole = true;
        return;
      case ChangeOp::read:
        if (!table.begun) wrong = "a row of a baseline that had not begun";
        ++reads;
        return put(table, event);
      case ChangeOp::insert:
      case ChangeOp::update:
        return put(table, event);
      case ChangeOp::erase:
        table.rows.erase(keyOf(*event.shape, event.before));
        return;
      case ChangeOp::truncate:
        table.rows.clear();
        return;
      default:
        return;
    }
  }
  const std::map<std::string, std::vector<Value>>& rows(const std::string& table) { return tables_[table].rows; }
  bool whole(const std::string& table) { return tables_[table].whole; }
  std::size_t begins(const std::string& table) { return tables_[table].begins; }

  std::size_t reads = 0;
  std::string wrong{};  ///< what should not be: a row that went back, a row outside of its baseline

  static std::string keyOf(const TableShape& shape, const std::vector<Value>& values) {
    std::string key;
    for (const std::uint32_t i : shape.key) key += describe(values.at(i)) + "|";
    return key;
  }

 private:
  struct Table {
    std::map<std::string, std::vector<Value>> rows;
    std::set<std::string> named;
    std::size_t begins = 0;
    bool begun = false, whole = false;
  };
  static std::int64_t versionOf(const TableShape& shape, const std::vector<Value>& row) {
    const auto at = shape.columns->find("ver");
    const std::int64_t* version = at ? row.at(*at).getIf<std::int64_t>() : nullptr;
    return version == nullptr ? 0 : *version;
  }
  void put(Table& table, const ChangeEvent& event) {
    const std::string key = keyOf(*event.shape, event.after);
    const auto old = table.rows.find(key);
    std::vector<Value> row = event.after;
    if (!event.unchanged.empty()) {
      if (old == table.rows.end()) return;  // a row that is still to be read
      for (const std::uint32_t i : event.unchanged) row[i] = old->second[i];
    }
    if (old != table.rows.end() && versionOf(*event.shape, row) < versionOf(*event.shape, old->second)) {
      wrong = std::string(toString(event.op)) + " " + key + " goes back from version " +
              std::to_string(versionOf(*event.shape, old->second)) + " to " +
              std::to_string(versionOf(*event.shape, row));
    }
    table.named.insert(key);
    table.rows[key] = std::move(row);
  }

  std::map<std::string, Table> tables_;
};

}  // namespace tidegate::mysql
