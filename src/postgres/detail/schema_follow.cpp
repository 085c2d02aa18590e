#include "postgres/detail/schema_follow.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::postgres::detail {
namespace {

using Renames = std::vector<std::pair<std::string, std::string>>;

class Follower {
 public:
  Follower(SinkConnection& connection, const TargetName& name, const Shape& after, const SchemaChange& change)
      : connection_(connection),
        name_(name),
        after_(after),
        before_(change.before),
        table_(readCatalog(connection, name)) {
    for (const auto& pair : change.renamed) {
      if (table_.columns.count(pair.first) != 0) renames_.push_back(pair);  // else it is done already
    }
  }

  void run() {
    checkKey();
    rename();
    drop();
    for (const ColumnSchema& column : after_->schema.columns) retype(column);
  }

 private:
  void alter(const std::string& what) { connection_.run(fmt::format("ALTER TABLE {} {}", name_.quoted, what)); }

  bool isRenamed(const std::string& column) const {
    return std::any_of(renames_.begin(), renames_.end(), [&](const auto& pair) { return pair.first == column; });
  }

  /// A target that was prepared for the new shape already has the new column, still without values.
  void makeRoomFor(const std::string& to) {
    if (table_.columns.count(to) == 0 || isRenamed(to)) return;
    const SqlResult used =
        connection_.run(fmt::format("SELECT 1 FROM {} WHERE {} IS NOT NULL LIMIT 1", name_.quoted, quoted(to)));
    if (PQntuples(used.get()) > 0) {
      throw Error(
          ErrorCode::invalidConfig, Retry::afterOperator,
          fmt::format("target table \"{}\": the source renamed a column to \"{}\", and the target has one of that "
                      "name with values in it: ALTER TABLE {} RENAME COLUMN {} TO …, or drop it",
                      name_.text, to, name_.quoted, quoted(to)));
    }
    alter("DROP COLUMN " + quoted(to));
    table_.columns.erase(to);
  }

  /// By way of other names, so that columns may change places.
  void rename() {
    for (const auto& [from, to] : renames_) makeRoomFor(to);
    for (std::size_t i = 0; i < renames_.size(); ++i) {
      alter(fmt::format("RENAME COLUMN {} TO {}", quoted(renames_[i].first), quoted(between(i))));
    }
    std::map<std::string, CatalogColumn> moved;
    for (std::size_t i = 0; i < renames_.size(); ++i) {
      alter(fmt::format("RENAME COLUMN {} TO {}", quoted(between(i)), quoted(renames_[i].second)));
      moved.insert(table_.columns.extract(renames_[i].first));
      auto node = moved.extract(renames_[i].first);
      node.key() = renames_[i].second;
      moved.insert(std::move(node));
    }
    table_.columns.merge(moved);
  }
  static std::string between(std::size_t i) { return fmt::format("tidegate renames {}", i); }

  void drop() {
    if (!before_) return;
    for (const ColumnSchema& column : before_->schema.columns) {
      if (after_->columns->find(column.name) || isRenamed(column.name) || table_.columns.count(column.name) == 0)
        continue;
      alter("DROP COLUMN " + quoted(column.name));
      table_.columns.erase(column.name);
    }
  }

  void retype(const ColumnSchema& column) {
    const auto there = table_.columns.find(column.name);
    if (there == table_.columns.end()) return;  // added by makeTarget
    const auto& key = after_->schema.primaryKey;
    const bool inKey = std::find(key.begin(), key.end(), column.name) != key.end();
    if (there->second.notNull && column.nullable && !inKey)
      alter("ALTER COLUMN " + quoted(column.name) + " DROP NOT NULL");
    ColumnPlan plan;
    std::string remedy;
    if (planFor(column, there->second, plan, remedy)) return;
    const std::string type{typeNameFor(after_, column)};
    const bool number = there->second.type == "boolean" && column.kind != ValueKind::text;  // 't' is no number
    alter(fmt::format("ALTER COLUMN {} TYPE {} USING {}::{}::{}", quoted(column.name), type, quoted(column.name),
                      number ? "integer" : "text", type));
  }

  void checkKey() {
    if (!before_) return;
    std::vector<std::string> key = before_->schema.primaryKey;
    for (std::string& column : key) {
      for (const auto& [from, to] : renames_) {
        if (column == from) {
          column = to;
          break;
        }
      }
    }
    std::sort(key.begin(), key.end());
    std::vector<std::string> now = after_->schema.primaryKey;
    std::sort(now.begin(), now.end());
    // A rename that the target has already is not among `renames_`: then the catalogue is compared, by matchColumns.
    if (key == now || std::any_of(key.begin(), key.end(), [&](const auto& c) { return !after_->columns->find(c); }))
      return;
    throw Error(
        ErrorCode::invalidConfig, Retry::afterOperator,
        fmt::format("target table \"{}\": the source's key changed, and with it what names a row: DROP TABLE {}, "
                    "then reload the table",
                    name_.text, name_.quoted));
  }

  SinkConnection& connection_;
  const TargetName& name_;
  const Shape& after_;
  Shape before_;
  CatalogTable table_;
  Renames renames_;
};

void addColumns(SinkConnection& connection, const TargetName& name, const Shape& shape, const CatalogTable& table,
                const std::string& softDeleteColumn) {
  std::string adds;
  const auto add = [&](const std::string& column, std::string_view type) {
    if (table.columns.count(column) == 0)
      adds += fmt::format("{}ADD COLUMN {} {}", adds.empty() ? "" : ", ", quoted(column), type);
  };
  // Nullable in any case: the rows that are there have no value for it.
  for (const ColumnSchema& column : shape->schema.columns) add(column.name, typeNameFor(shape, column));
  if (!softDeleteColumn.empty()) add(softDeleteColumn, "timestamp with time zone");
  if (!adds.empty()) connection.run(fmt::format("ALTER TABLE {} {}", name.quoted, adds));
}

}  // namespace

void makeTarget(SinkConnection& connection, const TargetName& name, const Shape& shape,
                const std::string& softDeleteColumn) {
  const CatalogTable table = readCatalog(connection, name);
  if (table.exists && (table.kind == 'r' || table.kind == 'p')) {
    return addColumns(connection, name, shape, table, softDeleteColumn);
  }
  if (table.exists) return;
  if (!name.schema.empty()) {
    const SqlResult there =
        connection.ask("SELECT 1 FROM pg_namespace WHERE nspname = $1", {std::optional(name.schema)});
    if (PQntuples(there.get()) == 0) connection.run("CREATE SCHEMA " + quoted(name.schema));
  }
  connection.run(createTableSql(name, shape, softDeleteColumn));
}

void followChange(SinkConnection& connection, const TargetName& name, const Shape& after, const SchemaChange& change) {
  if (!readCatalog(connection, name).exists) return;
  Follower(connection, name, after, change).run();
}

}  // namespace tidegate::postgres::detail
