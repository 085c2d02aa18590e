/// A database of the private Postgres for a sink's tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "contract/sink_rig.h"
#include "servers/support.h"
#include "tidegate/postgres/sink.h"

namespace tidegate::servers {

/// Two schemas of the server's database, emptied: where tables go, and where the sink keeps its own.
class PostgresTarget final : public contract::SinkTarget {
 public:
  PostgresTarget() {
    execute(admin, {"DROP SCHEMA IF EXISTS sink_books CASCADE", "DROP SCHEMA IF EXISTS sink_test CASCADE",
                    "CREATE SCHEMA sink_test", "SET search_path = sink_test"});
  }

  postgres::SinkOptions options() const {
    return {.connect = {.url = environment("TIDEGATE_POSTGRES_URL"), .settings = {{"search_path", "sink_test"}}},
            .schema = "sink_books"};
  }
  static std::shared_ptr<Sink> make(const postgres::SinkOptions& options) { return postgres::sink(options); }
  std::shared_ptr<Sink> sink() override { return make(options()); }

  std::vector<contract::Values> rows(const Shape& shape) override {
    try {
      return SinkTarget::rows(shape);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::tableNotFound) return {};
      throw;
    }
  }

  /// The session of the sink is ended when it next speaks.
  bool breakNextCommit() override {
    execute(admin, {"SELECT pg_terminate_backend(writer_pid) FROM sink_books.checkpoints WHERE pipeline = 'p'"});
    return true;
  }

  QueryFn admin = postgres::queryFn({.url = environment("TIDEGATE_POSTGRES_URL"), .readOnly = false});
};

}  // namespace tidegate::servers
