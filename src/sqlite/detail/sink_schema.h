/// Target tables of a sink: made from shapes, matched to them, and following their changes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sqlite/detail/sink_columns.h"
#include "sqlite/detail/sink_file.h"
#include "tidegate/source/change_event.h"

namespace tidegate::sqlite::detail {

/// A column as the file declares it.
struct TargetColumn {
  std::string name{}, type{};
  bool notNull = false, hasDefault = false, generated = false;
  int keyPlace = 0;  ///< 1-based place in the primary key; 0: none
};

class SinkSchema {
 public:
  /// @param softDelete the column of the time of an erase; empty: none.
  SinkSchema(SinkFile& file, std::string softDelete) : file_(file), softDelete_(std::move(softDelete)) {}

  /// Makes the table, or adds the columns it lacks. @throws Error{invalidConfig, Retry::afterOperator}
  void prepare(const TableShape& shape);
  /// Makes the table what `change` made of its source. @throws as `prepare`.
  void follow(const TableShape& shape, const SchemaChange& change);

 private:
  struct Target {
    std::vector<TargetColumn> columns{};
    const TargetColumn* find(std::string_view name) const;
  };

  std::optional<Target> read(const std::string& table);
  void checkShape(const TableShape& shape) const;
  void create(const TableShape& shape);
  bool isView(const std::string& table);
  void addColumns(const TableShape& shape, const Target& target);
  void match(const TableShape& shape, const Target& target);
  void matchKey(const TableShape& shape, const Target& target);
  bool hasUniqueIndex(const TableShape& shape);
  void renameColumns(const std::string& table, const SchemaChange& change);
  void renameColumn(const std::string& table, const std::string& from, const std::string& to);
  void dropColumns(const TableShape& shape, const SchemaChange& change);
  void retypeColumns(const TableShape& shape);
  void alter(const std::string& table, const std::string& what);

  SinkFile& file_;
  const std::string softDelete_;
};

}  // namespace tidegate::sqlite::detail
