#include "postgres/detail/schema_diff.h"

#include <algorithm>

#include "postgres/detail/oids.h"

namespace tidegate::postgres::detail {
namespace {

const ColumnVersion* numbered(const TableVersion& version, int number) {
  for (const ColumnVersion& column : version.columns) {
    if (number != 0 && column.number == number) return &column;
  }
  return nullptr;
}

const ColumnVersion* named(const TableVersion& version, const std::string& name) {
  for (const ColumnVersion& column : version.columns) {
    if (column.name == name) return &column;
  }
  return nullptr;
}

/// The column that `after` was: by number, and by name where one of the two has no number.
const ColumnVersion* predecessor(const TableVersion& before, const ColumnVersion& after) {
  if (const ColumnVersion* same = numbered(before, after.number)) return same;
  const ColumnVersion* same = named(before, after.name);
  return same != nullptr && (same->number == 0 || after.number == 0) ? same : nullptr;
}

/// Whether values stay the same text: a longer varchar, or varchar to text and back without a limit.
bool keepsValues(const ColumnVersion& before, const ColumnVersion& after) {
  const auto isText = [](unsigned oid) { return oid == kText || oid == kVarchar; };
  if (!isText(before.typeOid) || !isText(after.typeOid)) return false;
  return after.typeModifier == -1 || (before.typeModifier != -1 && after.typeModifier >= before.typeModifier);
}

/// Whether a column of that name was dropped at the same time. Targets tell columns by name: they would keep its
/// values.
bool standsForADropped(const TableVersion& before, const ColumnVersion& added, const TableVersion& after) {
  const ColumnVersion* namesake = named(before, added.name);
  return namesake != nullptr && numbered(after, namesake->number) == nullptr;
}

bool rowsChangedIn(const ColumnVersion& column, const TableVersion& before, const TableVersion& after, bool rewritten) {
  const ColumnVersion* was = predecessor(before, column);
  if (was == nullptr) {
    const bool isOlder = column.number != 0 && column.number <= before.highestNumber;  // only now published
    return column.filled || rewritten || isOlder || column.number == 0 || standsForADropped(before, column, after);
  }
  if (was->typeOid == column.typeOid && was->typeModifier == column.typeModifier) return false;
  return !keepsValues(*was, column);
}

}  // namespace

SchemaChange schemaChangeBetween(const Shape& beforeShape, const TableVersion& before, const TableVersion& after) {
  SchemaChange change{.before = beforeShape};
  const bool rewritten = before.file != after.file || before.file == 0;
  for (const ColumnVersion& column : after.columns) {
    const ColumnVersion* was = predecessor(before, column);
    if (was != nullptr && was->name != column.name) change.renamed.emplace_back(was->name, column.name);
    change.rowsChanged = change.rowsChanged || rowsChangedIn(column, before, after, rewritten);
  }
  return change;
}

}  // namespace tidegate::postgres::detail
