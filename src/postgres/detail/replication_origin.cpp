#include "postgres/detail/replication_origin.h"

#include <fmt/format.h>

#include "postgres/detail/target.h"

namespace tidegate::postgres::detail {
namespace {

constexpr const char* kObjectInUse = "55006";
constexpr const char* kDuplicateObject = "42710";

void makeOrigin(SinkConnection& connection, const std::string& origin) {
  const SqlResult known = connection.ask("SELECT pg_replication_origin_oid($1) IS NOT NULL", {origin});
  if (cellIsTrue(known, 0, 0)) return;
  try {
    connection.ask("SELECT pg_replication_origin_create($1)", {origin});
  } catch (const SqlError& e) {
    if (e.state() != kDuplicateObject) throw;  // two sinks that make it at once
  }
}

}  // namespace

void setUpOrigin(SinkConnection& connection, const std::string& origin) {
  try {
    makeOrigin(connection, origin);
    connection.ask("SELECT pg_replication_origin_session_setup($1)", {origin});
  } catch (const SqlError& e) {
    if (e.code() == ErrorCode::permissionDenied) {
      throw Error(e.code(), e.retry(),
                  fmt::format("the sink cannot use replication origin \"{0}\": {1}: GRANT EXECUTE ON FUNCTION "
                              "pg_replication_origin_create(text), pg_replication_origin_oid(text), "
                              "pg_replication_origin_session_setup(text) TO {2}",
                              origin, e.message(), quoted(connection.user())));
    }
    if (e.state() != kObjectInUse) throw;
    throw Error(ErrorCode::connectionFailed, Retry::later,
                fmt::format("replication origin \"{}\" is in use by another session: give each pipeline its own ({})",
                            origin, e.message()));
  }
}

}  // namespace tidegate::postgres::detail
