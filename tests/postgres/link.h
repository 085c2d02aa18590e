/// A connection to the private Postgres for tests of the driver's inner parts.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "postgres/detail/session.h"
#include "postgres/detail/sql.h"
#include "servers/support.h"

namespace tidegate::postgres::detail {

/// A server that has to share its machine may take long to answer.
inline ConnectOptions testOptions() {
  return {.url = servers::environment("TIDEGATE_POSTGRES_URL"),
          .connectTimeout = std::chrono::seconds{60},
          .readOnly = false};
}

/// A session that is connected and set up as the driver's are.
class TestLink {
 public:
  explicit TestLink(ConnectOptions options = testOptions()) : session_(std::move(options)) { session_.prepare({}, {}); }
  PGconn* raw() { return session_.connection().raw(); }
  OwnedResult run(const std::string& sql, const SqlParams& params = {}) { return runSql(raw(), sql, params); }
  void execute(const std::vector<std::string>& statements) {
    for (const std::string& sql : statements) run(sql);
  }
  /// The first cell of the answer.
  std::string ask(const std::string& sql, const SqlParams& params = {}) {
    const OwnedResult rows = run(sql, params);
    return PQntuples(rows.get()) == 0 ? "" : std::string(cell(rows.get(), 0, 0));
  }

 private:
  Session session_;
};

}  // namespace tidegate::postgres::detail
