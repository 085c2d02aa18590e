#include <sqlite3.h>

#include <map>

#include "simulation/sim_database.h"
#include "tidegate/core/error.h"

namespace tidegate::sim {

namespace {

[[noreturn]] void sqliteFailed(sqlite3* db, const std::string& sql) {
  throw Error(ErrorCode::queryFailed, Retry::later, std::string(sqlite3_errmsg(db)) + " in: " + sql);
}

void bindValue(sqlite3_stmt* statement, int index, const Value& value) {
  if (const auto* integer = value.getIf<std::int64_t>()) {
    sqlite3_bind_int64(statement, index, *integer);
  } else if (const auto* text = value.getIf<std::string>()) {
    sqlite3_bind_text(statement, index, text->data(), static_cast<int>(text->size()), SQLITE_TRANSIENT);
  } else if (const auto* real = value.getIf<double>()) {
    sqlite3_bind_double(statement, index, *real);
  } else if (value.isNull()) {
    sqlite3_bind_null(statement, index);
  } else {
    throw Error(ErrorCode::typeUnsupported, Retry::never, "the simulated database binds no " + describe(value));
  }
}

Value columnValue(sqlite3_stmt* statement, int index) {
  switch (sqlite3_column_type(statement, index)) {
    case SQLITE_INTEGER:
      return Value(static_cast<std::int64_t>(sqlite3_column_int64(statement, index)));
    case SQLITE_FLOAT:
      return Value(sqlite3_column_double(statement, index));
    case SQLITE_TEXT:
      return Value(std::string(reinterpret_cast<const char*>(sqlite3_column_text(statement, index)),
                               static_cast<std::size_t>(sqlite3_column_bytes(statement, index))));
    default:
      return Value();
  }
}

std::string createTable(const TablePlan& table) {
  std::string sql = "CREATE TABLE " + table.name + " (";
  for (const std::string& key : table.keys) {
    const bool text = key == "place" || key == "code";
    sql += key + (text ? " TEXT, " : " INTEGER, ");
  }
  sql += "owner TEXT, region TEXT, qty INTEGER, price REAL, deleted INTEGER, ";
  if (table.cursor != CursorForm::none) sql += SimDatabase::cursorColumnOf(table) + ", ";
  sql += "PRIMARY KEY (";
  for (std::size_t i = 0; i < table.keys.size(); ++i) sql += (i ? ", " : "") + table.keys[i];
  return sql + "))";
}

}  // namespace

struct SimSqlite::Impl {
  struct Statement {
    sqlite3_stmt* handle = nullptr;
    Columns columns;
  };
  sqlite3* db = nullptr;
  std::map<std::string, Statement> statements;

  Statement& prepare(const std::string& sql) {
    Statement& statement = statements[sql];
    if (statement.handle) return statement;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement.handle, nullptr) != SQLITE_OK) {
      statements.erase(sql);
      sqliteFailed(db, sql);
    }
    std::vector<std::string> names;
    for (int i = 0; i < sqlite3_column_count(statement.handle); ++i) {
      names.emplace_back(sqlite3_column_name(statement.handle, i));
    }
    statement.columns = makeColumns(std::move(names));
    return statement;
  }
};

SimSqlite::SimSqlite(const std::vector<TablePlan>& tables) : impl_(std::make_unique<Impl>()) {
  if (sqlite3_open(":memory:", &impl_->db) != SQLITE_OK) sqliteFailed(impl_->db, "open");
  for (const TablePlan& table : tables) execute(createTable(table), {});
}

SimSqlite::~SimSqlite() {
  for (auto& [sql, statement] : impl_->statements) sqlite3_finalize(statement.handle);
  sqlite3_close(impl_->db);
}

void SimSqlite::run(const std::string& sql, const std::vector<Value>& params, Columns& columns,
                    std::vector<std::vector<Value>>& rows) {
  Impl::Statement& statement = impl_->prepare(sql);
  for (std::size_t i = 0; i < params.size(); ++i) bindValue(statement.handle, static_cast<int>(i) + 1, params[i]);
  columns = statement.columns;
  int code = 0;
  while ((code = sqlite3_step(statement.handle)) == SQLITE_ROW) {
    std::vector<Value>& row = rows.emplace_back();
    for (int i = 0; i < static_cast<int>(columns->size()); ++i) row.push_back(columnValue(statement.handle, i));
  }
  sqlite3_reset(statement.handle);
  if (code != SQLITE_DONE) sqliteFailed(impl_->db, sql);
}

void SimSqlite::execute(const std::string& sql, const std::vector<Value>& params) {
  Columns columns;
  std::vector<std::vector<Value>> rows;
  run(sql, params, columns, rows);
}

}  // namespace tidegate::sim
