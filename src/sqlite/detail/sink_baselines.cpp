#include "sqlite/detail/sink_baselines.h"

#include <fmt/format.h>

namespace tidegate::sqlite::detail {

SinkBaselines::SinkBaselines(SinkFile& file, std::string pipeline, std::string softDelete)
    : file_(file), pipeline_(std::move(pipeline)), softDelete_(std::move(softDelete)) {}

const char* SinkBaselines::schema() {
  return "CREATE TABLE IF NOT EXISTS main._tidegate_baselines(id INTEGER PRIMARY KEY, pipeline TEXT NOT NULL, "
         "target TEXT NOT NULL COLLATE NOCASE, tracked INTEGER NOT NULL, UNIQUE(pipeline, target))";
}

void SinkBaselines::bindTable(sqlite3_stmt* statement, const std::string& table) {
  sqlite3_bind_text64(statement, 1, pipeline_.data(), pipeline_.size(), SQLITE_STATIC, SQLITE_UTF8);
  sqlite3_bind_text64(statement, 2, table.data(), table.size(), SQLITE_STATIC, SQLITE_UTF8);
}

Baseline SinkBaselines::find(const std::string& table) {
  const StatementPtr find =
      file_.prepare("SELECT id, tracked FROM main._tidegate_baselines WHERE pipeline = ? AND target = ?");
  bindTable(find.get(), table);
  if (!file_.row(find.get())) return {};
  if (sqlite3_column_int(find.get(), 1) == 0) return {BaselineKind::fresh, {}};
  return {BaselineKind::tracked, fmt::format("_tidegate_seen_{}", sqlite3_column_int64(find.get(), 0))};
}

bool SinkBaselines::holdsRows(const std::string& table) {
  const StatementPtr any = file_.prepare("SELECT 1 FROM main." + sqlName(table) + " LIMIT 1");
  const bool held = file_.row(any.get());
  sqlite3_reset(any.get());
  return held;
}

void SinkBaselines::forget(const std::string& table) {
  if (const Baseline old = find(table); old.kind == BaselineKind::tracked) {
    file_.exec("DROP TABLE IF EXISTS main." + sqlName(old.seenTable));
  }
  const StatementPtr remove = file_.prepare("DELETE FROM main._tidegate_baselines WHERE pipeline = ? AND target = ?");
  bindTable(remove.get(), table);
  file_.run(remove.get());
}

Baseline SinkBaselines::begin(const TableShape& shape) {
  const std::string& table = shape.schema.table;
  forget(table);
  const StatementPtr add =
      file_.prepare("INSERT INTO main._tidegate_baselines(pipeline, target, tracked) VALUES (?, ?, ?)");
  bindTable(add.get(), table);
  sqlite3_bind_int(add.get(), 3, holdsRows(table) ? 1 : 0);
  file_.run(add.get());
  const Baseline baseline = find(table);
  if (baseline.kind != BaselineKind::tracked) return baseline;
  std::string columns, key;
  for (std::size_t i = 0; i < shape.key.size(); ++i) {
    const std::string name = fmt::format("k{}", i);
    columns += name + " " + std::string(declaredType(shape.schema.columns[shape.key[i]].kind)) + ", ";
    key += (i > 0 ? ", " : "") + name;
  }
  file_.exec("CREATE TABLE main." + sqlName(baseline.seenTable) + "(" + columns + "PRIMARY KEY(" + key +
             ")) WITHOUT ROWID");
  return baseline;
}

void SinkBaselines::end(const TableShape& shape, Timestamp deletedAt) {
  const std::string& table = shape.schema.table;
  const Baseline baseline = find(table);
  if (baseline.kind == BaselineKind::tracked) {
    const std::string target = "main." + sqlName(table);
    std::string same;
    for (std::size_t i = 0; i < shape.key.size(); ++i) {
      same +=
          fmt::format("{}seen.k{} = {}.{}", i > 0 ? " AND " : "", i, target, sqlName((*shape.columns)[shape.key[i]]));
    }
    const std::string gone =
        fmt::format(" WHERE NOT EXISTS (SELECT 1 FROM main.{} AS seen WHERE {})", sqlName(baseline.seenTable), same);
    const std::string deleted = softDelete_.empty() ? "" : sqlName(softDelete_);
    const StatementPtr remove = file_.prepare(softDelete_.empty() ? "DELETE FROM " + target + gone
                                                                  : "UPDATE " + target + " SET " + deleted + " = ?" +
                                                                        gone + " AND " + deleted + " IS NULL");
    TextSlot slot;
    const Value when = deletedAt;
    if (!softDelete_.empty()) bindCell(remove.get(), 1, when, slot);
    file_.run(remove.get());
  }
  forget(table);
}

void SinkBaselines::truncated(const std::string& table) {
  const Baseline baseline = find(table);
  if (baseline.kind == BaselineKind::tracked) file_.exec("DELETE FROM main." + sqlName(baseline.seenTable));
}

}  // namespace tidegate::sqlite::detail
