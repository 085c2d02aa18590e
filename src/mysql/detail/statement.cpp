#include "mysql/detail/statement.h"

#include <cppconn/connection.h>
#include <cppconn/exception.h>
#include <cppconn/prepared_statement.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <fmt/format.h>

#include <algorithm>

#include "mysql/detail/errors.h"
#include "mysql/detail/params.h"

namespace tidegate::mysql::detail {
namespace {

/// Remembered query texts; a host's are few.
constexpr std::size_t kMaxRemembered = 256;
constexpr int kNotPreparable = 1295;

void runText(sql::Connection& connection, const std::string& statement) {
  const std::unique_ptr<sql::Statement> made(connection.createStatement());
  made->execute(statement);
}

/// Leaves query text and parameters in user variables and the text prepared. @return the EXECUTE that runs it.
std::string prepareOnServer(Session& session, const std::string& sql, const std::vector<Value>& params) {
  std::string assignments = "SET @tidegate_sql = ?", variables;
  for (std::size_t i = 0; i < params.size(); ++i) {
    assignments += fmt::format(", @tidegate_p{} = {}", i + 1, parameterExpression(params[i]));
    variables += fmt::format("{}@tidegate_p{}", i == 0 ? "" : ", ", i + 1);
  }
  sql::Connection& connection = *session.connection();
  const std::unique_ptr<sql::PreparedStatement> set(connection.prepareStatement(assignments));
  set->setString(1, sql);
  for (std::size_t i = 0; i < params.size(); ++i) bindParameter(*set, static_cast<unsigned>(i + 2), params[i]);
  set->execute();
  if (session.preparedSql != sql) {
    session.preparedSql.clear();
    runText(connection, "PREPARE tidegate_query FROM @tidegate_sql");
    session.preparedSql = sql;
  }
  return "EXECUTE tidegate_query USING " + variables;
}

OpenResult executeText(Session& session, const std::string& sql, const Query& query) {
  const std::string text = query.params.empty() ? sql : prepareOnServer(session, sql, query.params);
  OpenResult out;
  out.connection = session.connection();
  out.statement.reset(out.connection->createStatement());
  out.statement->setResultSetType(query.wholeResult ? sql::ResultSet::TYPE_FORWARD_ONLY
                                                    : sql::ResultSet::TYPE_SCROLL_INSENSITIVE);
  if (out.statement->execute(text)) {
    out.rows.reset(out.statement->getResultSet());
    out.shape = shapeOf(*out.rows->getMetaData(), false);
  } else {
    out.shape.columns = makeColumns({});
  }
  return out;
}

OpenResult executeBinary(Session& session, std::unique_ptr<sql::PreparedStatement> prepared, const Query& query) {
  for (std::size_t i = 0; i < query.params.size(); ++i) {
    bindParameter(*prepared, static_cast<unsigned>(i + 1), query.params[i]);
  }
  OpenResult out;
  out.connection = session.connection();
  out.rows.reset(prepared->executeQuery());
  out.statement = std::move(prepared);
  out.shape = shapeOf(*out.rows->getMetaData(), true);
  return out;
}

/// The query with its FLOAT columns as doubles. Used for whole results, and for pages that cannot be read otherwise.
/// A subquery's order is nobody's promise, so the order asked for is asked for again outside.
std::string withDoubles(const Query& query, const ResultShape& shape) {
  std::string columns;
  for (std::size_t i = 0; i < shape.columns->size(); ++i) {
    const std::string name = quoteIdentifier(Dialect::mysql, (*shape.columns)[i]);
    columns += fmt::format("{}{}{} AS {}", i == 0 ? "" : ", ", name, shape.isFloat[i] ? " * 1e0" : "", name);
  }
  return fmt::format("SELECT {} FROM ({}) AS tidegate_src{}{}", columns, wrappableQuery(Dialect::mysql, query.sql),
                     query.orderBy.empty() ? "" : " ORDER BY ", query.orderBy);
}

/// Whether a statement can have result columns at all: only such a one is prepared to learn their types.
bool mayReturnRows(const std::string& sql) {
  const auto first = sql.find_first_not_of(" \t\r\n(");
  if (first == std::string::npos) return false;
  std::string word = sql.substr(first, 6);
  std::transform(word.begin(), word.end(), word.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  return word == "SELECT" || word.starts_with("WITH") || word.starts_with("TABLE") || word.starts_with("VALUES") ||
         word.starts_with("/*") || word.starts_with("--") || word.starts_with("#");
}

/// Bound parameters must suit the statement itself where no expression can be put around them.
bool bindsDirectly(const std::vector<Value>& params) {
  return std::none_of(params.begin(), params.end(),
                      [](const Value& v) { return v.kind() == ValueKind::decimal || v.kind() == ValueKind::bytes; });
}

/// The result's columns before anything is executed; null where the statement cannot be prepared.
std::unique_ptr<sql::PreparedStatement> prepareToLearn(sql::Connection& connection, const std::string& sql) {
  try {
    return std::unique_ptr<sql::PreparedStatement>(connection.prepareStatement(sql));
  } catch (const sql::SQLException& e) {
    if (e.getErrorCode() != kNotPreparable) throw;
    return nullptr;
  }
}

OpenResult executeUnknown(Session& session, const Query& query) {
  auto prepared = prepareToLearn(*session.connection(), query.sql);
  if (!prepared) return executeText(session, query.sql, query);
  const ResultShape shape = shapeOf(*prepared->getMetaData(), true);
  if (shape.hasFloat() && !query.wholeResult && !shape.hasGeometry && bindsDirectly(query.params)) {
    return executeBinary(session, std::move(prepared), query);
  }
  // Closing a statement reads whatever result is pending on the connection, a stream's too: close it before.
  prepared.reset();
  if (shape.hasFloat()) return executeText(session, withDoubles(query, shape), query);
  if (session.withoutFloat.size() >= kMaxRemembered) session.withoutFloat.clear();
  session.withoutFloat.insert(query.sql);
  return executeText(session, query.sql, query);
}

}  // namespace

OpenResult::OpenResult() = default;
OpenResult::OpenResult(OpenResult&&) noexcept = default;
OpenResult& OpenResult::operator=(OpenResult&& other) noexcept {
  rows = std::move(other.rows);  // before its statement, and that before its connection
  statement = std::move(other.statement);
  connection = std::move(other.connection);
  shape = std::move(other.shape);
  return *this;
}
OpenResult::~OpenResult() = default;

OpenResult execute(Session& session, const Query& query) {
  if (!mayReturnRows(query.sql)) return executeText(session, query.sql, query);
  if (session.withoutFloat.count(query.sql) == 0) return executeUnknown(session, query);
  {
    OpenResult out = executeText(session, query.sql, query);
    if (!out.shape.hasFloat()) return out;
    session.withoutFloat.erase(query.sql);  // a column became FLOAT since
    if (query.wholeResult) session.killer()();
  }
  if (query.wholeResult) {
    session.drop();
    session.prepare(query.timeout, query.stop);
  }
  return executeUnknown(session, query);
}

void checkStreamEnded(sql::Connection& connection) {
  const std::unique_ptr<sql::Statement> statement(connection.createStatement());
  const std::unique_ptr<sql::ResultSet> errors(statement->executeQuery("SHOW ERRORS LIMIT 1"));
  if (errors->next()) {
    throw fromNumber(errors->getInt(2), "HY000", errors->getString(3).asStdString());
  }
}

}  // namespace tidegate::mysql::detail
