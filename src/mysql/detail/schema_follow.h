/// Bringing a target's columns to a shape, in steps that both older and newer rows can live with.
///
/// A DDL statement commits by itself here. So before the rows of the unit are sent, the table is made to suit both
/// shapes: columns are added (nullable), renamed and retyped, with a note of what they were, so that the older shape
/// finds them if it comes again after a crash; a column that the source dropped may be null from now on. With the rows
/// and the checkpoint the notes go; what nothing sends any more is dropped after that commit, or by the next `open`.
#pragma once

#include <string>

#include "mysql/detail/bookkeeping.h"

namespace tidegate::mysql::detail {

/// The statements that are still needed for a shape; run each outside of a transaction, or throw to begin anew.
class SchemaFollow {
 public:
  SchemaFollow(SinkConnection& connection, Bookkeeping& books, const TargetName& name, std::string softDeleteColumn)
      : connection_(connection), books_(books), name_(name), softDelete_(std::move(softDeleteColumn)) {}

  /// Makes the table, or adds the columns that it lacks.
  void make(const Shape& shape);
  /// Renames, retypes, lets go. @return renames that were done now.
  std::vector<std::pair<std::string, std::string>> follow(const Shape& after, const SchemaChange& change);
  /// @throws Error{queryFailed, Retry::later} if rows of the unit were sent before a statement was needed: they have
  /// been taken back, and are to come again.
  void finish() const;
  /// What belongs into the unit: notes that go, columns to drop.
  void note(const Shape& after, const SchemaChange& change);

 private:
  void takeBack();
  void define(const std::string& sql);
  void alter(const std::string& what);
  void rename(const std::string& from, const std::string& to, CatalogTable& table);
  void retype(const Shape& after, const SchemaChange& change, const ColumnSchema& column, const CatalogColumn& there);

  SinkConnection& connection_;
  Bookkeeping& books_;
  const TargetName& name_;
  std::string softDelete_;
  bool takenBack_ = false;
};

}  // namespace tidegate::mysql::detail
