/// Transforms made ready for the rows of one shape.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/detail/compiled_filter.h"
#include "tidegate/engine/transform.h"

namespace tidegate::detail {

/// @thread Immutable: any, as far as the map functions allow.
class CompiledTransform {
 public:
  CompiledTransform() = default;
  /// @throws Error{invalidConfig} as `transformedSchema`.
  CompiledTransform(const TableSchema& schema, const std::vector<Transform>& steps);

  const TableSchema& schema() const noexcept { return schema_; }
  /// Where the source's column ended, under whatever name; nullopt where it was dropped.
  std::optional<std::size_t> targetOf(std::size_t sourceColumn) const noexcept;
  /// The columns that hold the time of applying: they have no counterpart in the source.
  std::vector<std::string> timestampColumns() const;
  /// Whether a map changes the column's values.
  bool maps(std::size_t targetColumn) const noexcept { return !columns_[targetColumn].maps.empty(); }

  /// Makes a row image. Columns that are missing stay missing.
  /// @param now for timestamp columns; nullopt: they are missing (in images of the past).
  void apply(const EventRow& row, std::optional<std::int64_t> nowMicros, std::vector<Value>& values,
             std::vector<std::uint32_t>& missing) const;

 private:
  static constexpr std::size_t kConstant = static_cast<std::size_t>(-1);
  static constexpr std::size_t kNow = static_cast<std::size_t>(-2);
  struct Column {
    std::size_t from = 0;  ///< the source's column, or one of the above
    Value constant{};
    std::vector<std::function<Value(const Value&)>> maps{};
  };
  std::size_t find(std::string_view name, std::string_view step) const;
  void requireFree(const std::string& name) const;
  void add(ColumnSchema column, Column from);
  void step(const Transform::Drop& drop);
  void step(const Transform::Rename& rename);
  void step(const Transform::AddConstant& add);
  void step(const Transform::AddTimestamp& add);
  void step(const Transform::Map& map);

  TableSchema schema_{};
  std::vector<Column> columns_{};  ///< beside `schema_.columns`
};

}  // namespace tidegate::detail
