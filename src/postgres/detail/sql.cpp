#include "postgres/detail/sql.h"

#include <fmt/format.h>

#include <charconv>

#include "postgres/detail/errors.h"
#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {

Error failureOf(const PGresult* result, const PGconn* connection) {
  const char* state = result != nullptr ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : nullptr;
  const char* text = result != nullptr ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : nullptr;
  const bool lost = PQstatus(connection) != CONNECTION_OK;
  return fromSqlState(state != nullptr ? state
                      : lost           ? "08006"
                                       : "",
                      text != nullptr ? text : PQerrorMessage(connection));
}

OwnedResult runSql(PGconn* connection, const std::string& sql, const SqlParams& params) {
  std::vector<const char*> values;
  values.reserve(params.size());
  for (const auto& param : params) values.push_back(param ? param->c_str() : nullptr);
  // Without parameters by the simple protocol: a replication connection knows no other.
  OwnedResult result(params.empty() ? PQexec(connection, sql.c_str())
                                    : PQexecParams(connection, sql.c_str(), static_cast<int>(values.size()), nullptr,
                                                   values.data(), nullptr, nullptr, 0),
                     PQclear);
  const ExecStatusType status = result ? PQresultStatus(result.get()) : PGRES_FATAL_ERROR;
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) throw failureOf(result.get(), connection);
  return result;
}

std::string_view cell(const PGresult* rows, int row, int column) {
  return {PQgetvalue(rows, row, column), static_cast<std::size_t>(PQgetlength(rows, row, column))};
}

std::int64_t integerCell(const PGresult* rows, int row, int column) {
  const std::string_view text = cell(rows, row, column);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("the server answered \"{}\" where {} is a whole number", text, PQfname(rows, column)));
  }
  return number;
}

std::string quotedName(std::string_view schema, std::string_view name) {
  return quoteIdentifier(Dialect::postgres, schema) + "." + quoteIdentifier(Dialect::postgres, name);
}

std::string quotedLiteral(std::string_view text) {
  // With a backslash inside, the E form: it means the same whatever standard_conforming_strings says.
  std::string out = text.find('\\') == std::string_view::npos ? "'" : " E'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out += '\'';
}

}  // namespace tidegate::postgres::detail
