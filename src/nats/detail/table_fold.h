/// Rows of tables by the events that made them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/source/change_event.h"

namespace tidegate::nats::detail {

/// @thread One at a time.
class TableFold {
 public:
  /// @param mostBytes of rows held. @throws (in `apply`) Error{invalidConfig, Retry::afterOperator} beyond.
  explicit TableFold(std::size_t mostBytes) : mostBytes_(mostBytes) {}

  void apply(const ChangeEvent& event);
  /// The rows of a table by key; values in the order of `shape`, null where a row has no such column.
  std::vector<std::vector<Value>> rowsOf(const TableShape& shape) const;
  /// Whether a baseline of the table began.
  bool sawBaseline(const std::string& table) const;
  /// The shape of the table's last event; null: there was none.
  Shape shapeOf(const std::string& table) const;

 private:
  struct Row {
    std::vector<Value> values;  ///< by the table's columns; may be shorter
    std::uint64_t generation = 0;
  };
  struct Table {
    Shape shape{};
    std::map<std::string, std::size_t> columns{};  ///< a place for every name that a row may have a value of
    std::size_t width = 0;                         ///< places given out; none is used again for another name
    std::vector<std::size_t> places{};             ///< of the shape's columns in rows
    std::map<std::string, Row> rows{};             ///< by packed key; without a key by a count
    std::uint64_t generation = 0, keyless = 0;
    bool sawBaseline = false;
  };
  static void place(Table& table, const TableShape& shape);
  void fit(Table& table, const Shape& shape);
  void write(Table& table, const ChangeEvent& event);
  void change(Table& table, const ChangeEvent& event);
  static std::string keyOf(const TableShape& shape, const std::vector<Value>& row);
  void count(std::size_t before, std::size_t now, const std::string& table);

  const std::size_t mostBytes_;
  std::size_t bytes_ = 0;
  std::map<std::string, Table> tables_;
};

}  // namespace tidegate::nats::detail
