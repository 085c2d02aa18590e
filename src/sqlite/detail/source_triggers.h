/// The triggers of a followed table: what every writer runs for us, whoever it is.
///
/// The change table has a row for each change: its shape's number, what happened, when, and in column v<i> the value of
/// the table's column i (of an erase only the key's). INSERT OR REPLACE and UPDATE OR REPLACE remove rows without
/// firing delete triggers, unless the writer set `recursive_triggers`. So BEFORE triggers note the keys of the rows
/// that are in the way in the "doubt" table, and AFTER triggers look which of them are gone. What is noted there is
/// always the key of a row that the change table knows to exist: a delete trigger takes it out. So notes that nothing
/// came of (INSERT OR IGNORE, an upsert) do no harm.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sqlite/detail/source_tables.h"

namespace tidegate::sqlite::detail {

/// `LogRow::op` in the change table.
enum class LogOp : int {
  border = 0,  ///< a new unit of work begins; a writer may write it
  insert = 1,
  update = 2,
  erase = 3,
  schema = 4  ///< from here on the shape is another one
};

/// The names of what a source makes in the database.
struct LogNames {
  explicit LogNames(const std::string& source);
  std::string log, doubt, shapes, facts;  ///< tables, unquoted
  std::string triggers;                   ///< the beginning of every trigger's name
};

struct Trigger {
  std::string name;
  std::string sql;  ///< as sqlite_schema then has it
};

/// The triggers that write the table's changes under the shape's number. The same table and number give the same texts.
std::vector<Trigger> triggersFor(const LogNames& names, const SourceTable& table, std::int64_t number);

}  // namespace tidegate::sqlite::detail
