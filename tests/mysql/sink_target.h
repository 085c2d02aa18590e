/// A database of the private MariaDB for a sink's tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "contract/sink_rig.h"
#include "servers/support.h"
#include "tidegate/mysql/sink.h"

namespace tidegate::servers {

/// A database of its own, empty at first.
class MySqlTarget final : public contract::SinkTarget {
 public:
  MySqlTarget() {
    execute(admin,
            {"DROP DATABASE IF EXISTS sink_test", "CREATE DATABASE sink_test CHARACTER SET utf8mb4", "USE sink_test"});
  }

  mysql::SinkOptions options() const {
    return {.connect = {.url = environment("TIDEGATE_MYSQL_URL"), .database = "sink_test"}};
  }
  static std::shared_ptr<Sink> make(const mysql::SinkOptions& options) { return mysql::sink(options); }
  std::shared_ptr<Sink> sink() override { return make(options()); }

  std::vector<contract::Values> rows(const Shape& shape) override {
    try {
      return SinkTarget::rows(shape);
    } catch (const Error& e) {
      if (e.code() == ErrorCode::tableNotFound) return {};
      throw;
    }
  }

  /// The connection of the sink is ended before it next speaks.
  bool breakNextCommit() override {
    const Rows held = readAll(admin,
                              "SELECT IS_USED_LOCK(CONCAT('tidegate:', LEFT(SHA2(CONCAT('sink_test', CHAR(0), "
                              "'_tidegate_', 'p'), 256), 32))) AS id");
    execute(admin, {"KILL " + describe(held[0][0])});
    return true;
  }

  QueryFn admin = mysql::queryFn({.url = environment("TIDEGATE_MYSQL_URL"), .readOnly = false});
};

}  // namespace tidegate::servers
