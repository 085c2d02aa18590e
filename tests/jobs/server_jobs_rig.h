/// Jobs from a real server into a SQLite file.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "jobs/jobs_rig.h"
#include "servers/servers.h"
#include "tidegate/mysql/job_driver.h"
#include "tidegate/postgres/job_driver.h"
#include "tidegate/sqlite/job_store.h"

namespace tidegate::test {

struct ServerRig {
  explicit ServerRig(const servers::Server& server_) : server(server_), writer(server_.writer()) {}

  ReplicationJobsOptions options() {
    return {.store = store,
            .key = testKey(),
            .drivers = {{Dialect::postgres, postgres::jobDriver()}, {Dialect::mysql, mysql::jobDriver()}},
            .replica = [path = replicaPath] { return sqlite::sink({.path = path}); },
            .lookInterval = std::chrono::milliseconds(50),
            .observer = observer};
  }
  ReplicationJob job(const std::string& table) const {
    return {
        .name = table,
        .source = {.dialect = server.dialect(),
                   .dsn = servers::environment(server.isPostgres() ? "TIDEGATE_POSTGRES_URL" : "TIDEGATE_MYSQL_URL")},
        .table = table,
        .trackingColumn = "updated_at",
        .cron = "@yearly"};
  }
  std::uint16_t port() const {
    return static_cast<std::uint16_t>(
        std::stoi(servers::environment(server.isPostgres() ? "TIDEGATE_POSTGRES_PORT" : "TIDEGATE_MYSQL_PORT")));
  }
  JobRun run(ReplicationJobs& jobs, const std::string& name) {
    JobRun run = jobs.run(name);
    EXPECT_EQ(run.outcome, RunOutcome::ok) << run.error.value_or("");
    return run;
  }
  std::vector<std::string> replica(const std::string& sql) { return testing::PlainDb(replicaPath).texts(sql); }

  const servers::Server server;
  const QueryFn writer;
  testing::TempDir dir;
  std::string replicaPath = dir / "replica.db";
  std::shared_ptr<JobStore> store = sqlite::jobStore(dir / "jobs.db");
  std::shared_ptr<NotingObserver> observer = std::make_shared<NotingObserver>();
};

}  // namespace tidegate::test
