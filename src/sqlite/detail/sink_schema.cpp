#include "sqlite/detail/sink_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace tidegate::sqlite::detail {

namespace {

/// SQLite's names differ only by more than ASCII case.
bool sameName(std::string_view a, std::string_view b) {
  return a.size() == b.size() && sqlite3_strnicmp(a.data(), b.data(), static_cast<int>(a.size())) == 0;
}

Error misfit(const TableShape& shape, const std::string& what) {
  return {ErrorCode::invalidConfig, Retry::afterOperator, fmt::format("target \"{}\": {}", shape.schema.table, what)};
}

std::string declaration(const std::string& name, ValueKind kind, bool notNull) {
  std::string text = sqlName(name);
  if (const auto type = declaredType(kind); !type.empty()) text.append(" ").append(type);
  return notNull ? text + " NOT NULL" : text;
}

bool isKey(const TableShape& shape, std::size_t column) {
  return std::find(shape.key.begin(), shape.key.end(), column) != shape.key.end();
}

std::string cell(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return text != nullptr ? text : "";
}

}  // namespace

const TargetColumn* SinkSchema::Target::find(std::string_view name) const {
  const auto at = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return sameName(c.name, name); });
  return at == columns.end() ? nullptr : &*at;
}

std::optional<SinkSchema::Target> SinkSchema::read(const std::string& table) {
  Target target;
  // table_xinfo: cid, name, type, notnull, dflt_value, pk, hidden (2 and 3: generated)
  const StatementPtr info = file_.prepare("PRAGMA main.table_xinfo(" + sqlName(table) + ")");
  while (file_.row(info.get())) {
    TargetColumn column{.name = cell(info.get(), 1), .type = cell(info.get(), 2)};
    column.notNull = sqlite3_column_int(info.get(), 3) != 0;
    column.hasDefault = sqlite3_column_type(info.get(), 4) != SQLITE_NULL;
    column.keyPlace = sqlite3_column_int(info.get(), 5);
    column.generated = sqlite3_column_int(info.get(), 6) >= 2;
    target.columns.push_back(std::move(column));
  }
  if (target.columns.empty()) return std::nullopt;
  return target;
}

void SinkSchema::checkShape(const TableShape& shape) const {
  const std::string& table = shape.schema.table;
  if (table.empty() || sqlite3_strnicmp(table.c_str(), "sqlite_", 7) == 0 ||
      sqlite3_strnicmp(table.c_str(), "_tidegate_", 10) == 0) {
    throw misfit(shape, "names that begin with sqlite_ or _tidegate_ are taken; give the route another target");
  }
  if (shape.key.empty()) {
    throw misfit(shape,
                 "its source has no key, so changes would not say which row they mean; give the source table a primary "
                 "key (Postgres: or REPLICA IDENTITY USING INDEX)");
  }
  for (std::size_t i = 0; i < shape.columns->size(); ++i) {
    const std::string& name = (*shape.columns)[i];
    if (sameName(name, softDelete_)) {
      throw misfit(shape, fmt::format("column \"{}\" is the source's own; choose another softDeleteColumn", name));
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (!sameName(name, (*shape.columns)[j])) continue;
      throw misfit(shape, fmt::format("columns \"{}\" and \"{}\" are one name to SQLite; rename one by a transform",
                                      (*shape.columns)[j], name));
    }
  }
}

void SinkSchema::prepare(const TableShape& shape) {
  checkShape(shape);
  if (!read(shape.schema.table)) return create(shape);
  addColumns(shape, *read(shape.schema.table));
  match(shape, *read(shape.schema.table));
}

void SinkSchema::create(const TableShape& shape) {
  std::string sql = "CREATE TABLE main." + sqlName(shape.schema.table) + "(";
  const bool integerKey = shape.key.size() == 1 && shape.schema.columns[shape.key[0]].kind == ValueKind::int64;
  for (std::size_t i = 0; i < shape.schema.columns.size(); ++i) {
    const ColumnSchema& column = shape.schema.columns[i];
    sql += (i > 0 ? ", " : "") + declaration(column.name, column.kind, !column.nullable || isKey(shape, i));
    if (integerKey && i == shape.key[0]) sql += " PRIMARY KEY";
  }
  if (!softDelete_.empty()) sql += ", " + declaration(softDelete_, ValueKind::timestamp, false);
  if (!integerKey) {
    sql += ", PRIMARY KEY(";
    for (std::size_t i = 0; i < shape.key.size(); ++i) {
      sql += (i > 0 ? ", " : "") + sqlName((*shape.columns)[shape.key[i]]);
    }
    sql += ")";
  }
  // A key that is no row number is then the table's only tree, not an index beside it.
  file_.exec(sql + (integerKey ? ")" : ") WITHOUT ROWID"));
}

bool SinkSchema::isView(const std::string& table) {
  const StatementPtr find =
      file_.prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'view' AND name = ? COLLATE NOCASE");
  sqlite3_bind_text64(find.get(), 1, table.data(), table.size(), SQLITE_STATIC, SQLITE_UTF8);
  return file_.row(find.get());
}

void SinkSchema::addColumns(const TableShape& shape, const Target& target) {
  if (isView(shape.schema.table)) {
    throw misfit(shape, "is a view; give the route another target, or drop the view");
  }
  for (std::size_t i = 0; i < shape.schema.columns.size(); ++i) {
    const ColumnSchema& column = shape.schema.columns[i];
    if (target.find(column.name) != nullptr) continue;
    if (isKey(shape, i)) {
      throw misfit(shape, fmt::format("has no column \"{}\", which is part of the source's key; add it to the table's "
                                      "key, or drop the table so that it is made anew",
                                      column.name));
    }
    alter(shape.schema.table, "ADD COLUMN " + declaration(column.name, column.kind, false));
  }
  if (!softDelete_.empty() && target.find(softDelete_) == nullptr) {
    alter(shape.schema.table, "ADD COLUMN " + declaration(softDelete_, ValueKind::timestamp, false));
  }
}

void SinkSchema::match(const TableShape& shape, const Target& target) {
  for (const ColumnSchema& wanted : shape.schema.columns) {
    const TargetColumn& column = *target.find(wanted.name);
    if (column.generated) {
      throw misfit(shape,
                   fmt::format("column \"{}\" is generated; drop it, or leave it out by a transform", column.name));
    }
    if (fits(wanted.kind, affinityOf(column.type))) continue;
    const std::string_view type = declaredType(wanted.kind);
    throw misfit(shape,
                 fmt::format("column \"{}\" is declared {}, which would change values of kind {}; declare it {}, or "
                             "drop the table so that it is made anew, or drop the column by a transform",
                             column.name, column.type, toString(wanted.kind), type.empty() ? "without a type" : type));
  }
  for (const TargetColumn& column : target.columns) {
    if (!column.notNull || column.hasDefault || column.generated || shape.schema.find(column.name) != nullptr) continue;
    const auto known = [&](const ColumnSchema& c) { return sameName(c.name, column.name); };
    if (std::any_of(shape.schema.columns.begin(), shape.schema.columns.end(), known)) continue;
    throw misfit(shape, fmt::format("column \"{}\" is NOT NULL without a default, and the source does not send it; "
                                    "give it a default, or drop it",
                                    column.name));
  }
  matchKey(shape, target);
}

void SinkSchema::matchKey(const TableShape& shape, const Target& target) {
  std::size_t keyColumns = 0, known = 0;
  for (const TargetColumn& column : target.columns) keyColumns += column.keyPlace > 0 ? 1 : 0;
  std::string names;
  for (const std::uint32_t i : shape.key) {
    const std::string& name = (*shape.columns)[i];
    names += (names.empty() ? "\"" : ", \"") + name + "\"";
    known += target.find(name)->keyPlace > 0 ? 1 : 0;
  }
  if (known == shape.key.size() && known == keyColumns) return;
  if (hasUniqueIndex(shape)) return;
  throw misfit(shape, fmt::format("its key is not the source's ({}); make these its primary key or a unique index, or "
                                  "drop the table so that it is made anew",
                                  names));
}

bool SinkSchema::hasUniqueIndex(const TableShape& shape) {
  std::set<std::string> wanted;
  for (const std::uint32_t i : shape.key) wanted.insert((*shape.columns)[i]);
  std::vector<std::string> indexes;
  // index_list: seq, name, unique, origin, partial
  const StatementPtr list = file_.prepare("PRAGMA main.index_list(" + sqlName(shape.schema.table) + ")");
  while (file_.row(list.get())) {
    if (sqlite3_column_int(list.get(), 2) == 1 && sqlite3_column_int(list.get(), 4) == 0) {
      indexes.push_back(cell(list.get(), 1));
    }
  }
  for (const std::string& index : indexes) {
    std::set<std::string> found;
    const StatementPtr info = file_.prepare("PRAGMA main.index_info(" + sqlName(index) + ")");
    while (file_.row(info.get())) found.insert(cell(info.get(), 2));
    if (found == wanted) return true;
  }
  return false;
}

void SinkSchema::alter(const std::string& table, const std::string& what) {
  file_.exec("ALTER TABLE main." + sqlName(table) + " " + what);
}

void SinkSchema::renameColumn(const std::string& table, const std::string& from, const std::string& to) {
  const auto target = read(table);
  if (target->find(from) == nullptr) return;  // followed before
  if (target->find(to) == nullptr) return alter(table, "RENAME COLUMN " + sqlName(from) + " TO " + sqlName(to));
  if (sameName(from, to)) return;
  // The newest shape was prepared before this change came: both are there, and the values are in the old one.
  file_.exec("UPDATE main." + sqlName(table) + " SET " + sqlName(to) + " = " + sqlName(from));
  alter(table, "DROP COLUMN " + sqlName(from));
}

void SinkSchema::renameColumns(const std::string& table, const SchemaChange& change) {
  const auto isOld = [&](const std::string& name) {
    return std::any_of(change.renamed.begin(), change.renamed.end(),
                       [&](const auto& pair) { return sameName(pair.first, name); });
  };
  std::vector<std::pair<std::string, std::string>> second;
  for (const auto& [from, to] : change.renamed) {
    if (!isOld(to)) {
      second.emplace_back(from, to);
      continue;
    }
    // Names change places, or move up in a row: by way of a name that nobody has.
    const std::string between = fmt::format("_tidegate_rename_{}", second.size());
    renameColumn(table, from, between);
    second.emplace_back(between, to);
  }
  for (const auto& [from, to] : second) renameColumn(table, from, to);
}

void SinkSchema::dropColumns(const TableShape& shape, const SchemaChange& change) {
  if (!change.before) return;
  const auto target = read(shape.schema.table);
  const auto in = [](const TableShape& s, const std::string& name) {
    return std::any_of(s.schema.columns.begin(), s.schema.columns.end(),
                       [&](const auto& c) { return sameName(c.name, name); });
  };
  for (const TargetColumn& column : target->columns) {
    if (!in(*change.before, column.name) || in(shape, column.name)) continue;
    alter(shape.schema.table, "DROP COLUMN " + sqlName(column.name));
  }
}

/// Copies a column into one of the new type, which then takes its name: indexes of other columns, triggers and whatever
/// else the table's owner made stay.
void SinkSchema::retypeColumns(const TableShape& shape) {
  const std::string& table = shape.schema.table;
  const auto target = read(table);
  for (std::size_t i = 0; i < shape.schema.columns.size(); ++i) {
    const ColumnSchema& wanted = shape.schema.columns[i];
    const TargetColumn* column = target->find(wanted.name);
    if (column == nullptr || isKey(shape, i) || column->generated) continue;
    const bool relaxed = column->notNull && wanted.nullable;
    if (fits(wanted.kind, affinityOf(column->type)) && !relaxed) continue;
    const std::string between = sqlName("_tidegate_retyped");
    alter(table, "ADD COLUMN " + declaration("_tidegate_retyped", wanted.kind, false));
    file_.exec("UPDATE main." + sqlName(table) + " SET " + between + " = " + sqlName(column->name));
    alter(table, "DROP COLUMN " + sqlName(column->name));
    alter(table, "RENAME COLUMN " + between + " TO " + sqlName(wanted.name));
  }
}

void SinkSchema::follow(const TableShape& shape, const SchemaChange& change) {
  checkShape(shape);
  const std::string& table = shape.schema.table;
  if (!read(table)) return create(shape);
  try {
    renameColumns(table, change);
    dropColumns(shape, change);
    addColumns(shape, *read(table));
    retypeColumns(shape);
  } catch (const Error& e) {
    if (e.code() != ErrorCode::queryFailed) throw;
    throw misfit(shape, fmt::format("cannot follow the source's schema change ({}); drop what stands in the way (an "
                                    "index, view or trigger that names the column), or drop the table so that it is "
                                    "made anew",
                                    e.message()));
  }
  match(shape, *read(table));
}

}  // namespace tidegate::sqlite::detail
