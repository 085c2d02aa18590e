#include "mysql/detail/schema_follow.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::mysql::detail {
namespace {

bool isKeyOf(const Shape& shape, const std::string& column) {
  const auto& key = shape->schema.primaryKey;
  return std::find(key.begin(), key.end(), column) != key.end();
}

[[noreturn]] void refuseChange(const TargetName& name, const std::string& what) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator, fmt::format("target table \"{}\": {}", name.text, what));
}

void checkKeyChange(const TargetName& name, const Shape& after, const SchemaChange& change) {
  if (!change.before) return;
  std::vector<std::string> key = change.before->schema.primaryKey, now = after->schema.primaryKey;
  for (std::string& column : key) {
    for (const auto& [from, to] : change.renamed) {
      if (column == from) {
        column = to;
        break;
      }
    }
  }
  std::sort(key.begin(), key.end());
  std::sort(now.begin(), now.end());
  if (key == now) return;
  refuseChange(name,
               fmt::format("the source's key changed, and with it what names a row: DROP TABLE {}, then reload the "
                           "table",
                           name.quotedName));
}

}  // namespace

void SchemaFollow::takeBack() {
  if (!connection_.dirty()) return;
  connection_.rollback();
  takenBack_ = true;
}

void SchemaFollow::define(const std::string& sql) {
  takeBack();
  connection_.define(sql);
}

void SchemaFollow::alter(const std::string& what) { define(fmt::format("ALTER TABLE {} {}", name_.quotedName, what)); }

void SchemaFollow::finish() const {
  if (!takenBack_) return;
  throw Error(ErrorCode::queryFailed, Retry::later,
              fmt::format("table \"{}\" was altered, which these servers commit at once: the unit of work begins again",
                          name_.text));
}

void SchemaFollow::make(const Shape& shape) {
  const CatalogTable table = readCatalog(connection_, name_);
  if (!table.exists) return define(createTableSql(connection_, name_, shape, softDelete_));
  const Moved moved = books_.movedOf(name_);
  std::string adds;
  const auto add = [&](const std::string& column, const std::string& definition) {
    adds += fmt::format("{}ADD COLUMN {} {} NULL", adds.empty() ? "" : ", ", quoted(column), definition);
  };
  for (const ColumnSchema& column : shape->schema.columns) {
    if (table.columns.count(column.name) != 0) continue;
    const auto now = moved.find(column.name);
    if (now != moved.end() && table.columns.count(now->second) != 0) continue;
    // Nullable in any case: the rows that are there have no value for it.
    add(column.name, definitionFor(connection_, shape, column));
  }
  if (!softDelete_.empty() && table.columns.count(softDelete_) == 0) add(softDelete_, "datetime(6)");
  if (!adds.empty()) alter(adds);
}

std::vector<std::pair<std::string, std::string>> SchemaFollow::follow(const Shape& after, const SchemaChange& change) {
  std::vector<std::pair<std::string, std::string>> renamed;
  CatalogTable table = readCatalog(connection_, name_);
  if (!table.exists) return renamed;
  checkKeyChange(name_, after, change);
  for (const auto& [from, to] : change.renamed) {
    if (table.columns.count(from) == 0) continue;  // done already
    if (change.before && change.before->columns->find(to)) {
      refuseChange(name_, fmt::format("the source renamed \"{}\" to \"{}\", a name that another column had: rename the "
                                      "target's columns likewise, by one ALTER TABLE {} RENAME COLUMN …",
                                      from, to, name_.quotedName));
    }
    rename(from, to, table);
    renamed.emplace_back(from, to);
  }
  for (const ColumnSchema& column : after->schema.columns) {
    const auto there = table.columns.find(column.name);
    if (there != table.columns.end()) retype(after, change, column, there->second);
  }
  if (!change.before) return renamed;
  for (const ColumnSchema& column : change.before->schema.columns) {
    const auto there = table.columns.find(column.name);
    if (after->columns->find(column.name) || there == table.columns.end() || !there->second.notNull) continue;
    alter(fmt::format("MODIFY {} {} NULL", quoted(column.name), there->second.definition()));
  }
  return renamed;
}

void SchemaFollow::note(const Shape& after, const SchemaChange& change) {
  books_.forgetMoved(name_);
  if (!change.before) return;
  const CatalogTable table = readCatalog(connection_, name_);
  for (const ColumnSchema& column : change.before->schema.columns) {
    if (!after->columns->find(column.name) && table.columns.count(column.name) != 0)
      books_.willDrop(name_, column.name);
  }
  // A column that the unit dropped and that is there again under its name is another one, without values.
  for (const ColumnSchema& column : after->schema.columns) {
    if (change.before->columns->find(column.name) || !books_.keepAfterAll(name_, column.name)) continue;
    connection_.write(fmt::format("UPDATE {} SET {} = NULL", name_.quotedName, quoted(column.name)), {});
  }
}

void SchemaFollow::rename(const std::string& from, const std::string& to, CatalogTable& table) {
  if (table.columns.count(to) != 0) {  // prepared for the new shape already; still without values
    const TextRows used =
        connection_.ask(fmt::format("SELECT 1 FROM {} WHERE {} IS NOT NULL LIMIT 1", name_.quotedName, quoted(to)));
    if (!used.empty()) {
      refuseChange(name_, fmt::format("the source renamed a column to \"{}\", and the target has one of that name with "
                                      "values in it: ALTER TABLE {} RENAME COLUMN {} TO …, or drop it",
                                      to, name_.quotedName, quoted(to)));
    }
    alter("DROP COLUMN " + quoted(to));
  }
  takeBack();
  books_.willMove(name_, from, to);
  alter(fmt::format("RENAME COLUMN {} TO {}", quoted(from), quoted(to)));
  auto node = table.columns.extract(from);
  node.key() = to;
  table.columns.erase(to);
  table.columns.insert(std::move(node));
}

void SchemaFollow::retype(const Shape& after, const SchemaChange& change, const ColumnSchema& column,
                          const CatalogColumn& there) {
  ColumnPlan plan;
  const ColumnSchema* before = change.before ? change.before->schema.find(column.name) : nullptr;
  // A boolean's column can hold small integers, but not all of them.
  const bool tooNarrow = before != nullptr && before->kind != column.kind && there.dataType == "tinyint";
  const bool inKey = isKeyOf(after, column.name);
  const bool loosen = there.notNull && column.nullable && !inKey;
  if (!tooNarrow && planFor(column, there, plan)) {
    if (loosen) alter(fmt::format("MODIFY {} {} NULL", quoted(column.name), there.definition()));
    return;
  }
  takeBack();
  books_.willMove(name_, column.name, column.name);
  alter(fmt::format("MODIFY {} {} {}", quoted(column.name), definitionFor(connection_, after, column),
                    there.notNull && !loosen ? "NOT NULL" : "NULL"));
}

}  // namespace tidegate::mysql::detail
