/// What a pipeline makes of a row before its sink sees it.
///
///     {Transform::drop({"password_hash"}), Transform::rename("id", "user_id"), Transform::addTimestamp("synced_at")}
#pragma once

#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "tidegate/source/change_event.h"

namespace tidegate {

/// One step; steps run in the order given, each on the result of the one before.
/// @thread Immutable: any. A map function is called on the pipeline's thread.
struct Transform {
  struct Drop {
    std::vector<std::string> columns;
  };
  struct Rename {
    std::string from, to;
  };
  struct AddConstant {
    std::string column;
    Value value;
  };
  /// The time at which the engine applied the change (UTC), from the injected clock.
  struct AddTimestamp {
    std::string column;
  };
  /// Replaces one column's value. `result` is the kind it gives; it must be pure, and is not asked for unchanged
  /// columns.
  struct Map {
    std::string column;
    ValueKind result;
    std::function<Value(const Value&)> function;
  };
  std::variant<Drop, Rename, AddConstant, AddTimestamp, Map> step;

  static Transform drop(std::vector<std::string> columns) { return {Drop{std::move(columns)}}; }
  static Transform rename(std::string from, std::string to) { return {Rename{std::move(from), std::move(to)}}; }
  static Transform addConstant(std::string column, Value value) {
    return {AddConstant{std::move(column), std::move(value)}};
  }
  static Transform addTimestamp(std::string column) { return {AddTimestamp{std::move(column)}}; }
  static Transform map(std::string column, ValueKind result, std::function<Value(const Value&)> function) {
    return {Map{std::move(column), result, std::move(function)}};
  }
};

/// The schema that the steps make of `schema`.
/// @throws Error{invalidConfig} for a column that is missing or taken, and for dropping a key column.
TableSchema transformedSchema(const TableSchema& schema, const std::vector<Transform>& steps);

}  // namespace tidegate
