#include "tidegate/jobs/cron.h"
#include "tidegate/jobs/replication_jobs.h"
#include "tidegate/source/source_poller.h"

using namespace tidegate;

int main() {
  Gateway gateway;
  QueryFn query{Dialect::sqlite, [](const Query&) {
                  return ResultSet::fromRows(makeColumns({"id", "name"}), {{Value(1), Value("Ada")}});
                }};
  SourcePoller poller({.name = "memory", .query = query, .tables = {{.table = "users", .query = "SELECT 1"}}}, gateway);
  ReplicationJobs jobs({.store = std::make_shared<MemoryJobStore>(),
                        .key = JobKey::fromBytes(std::string(JobKey::kBytes, 'k')),
                        .replica = [] { return std::shared_ptr<Sink>(); }});
  const bool ticks = Cron::parse("@hourly").next(Clock::Micros(0), *TimeZone::load("UTC")) == std::chrono::hours(1);
  return poller.pollOnce().ok() && gateway.row("users", "1") && jobs.list().empty() && ticks ? 0 : 1;
}
