/// One run of a job: from the source's table into the replica's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "jobs/detail/job_plan.h"
#include "tidegate/core/clock.h"
#include "tidegate/sink/sink.h"

namespace tidegate::detail {

struct RunProgress {
  std::uint64_t pages = 0, rowsRead = 0, rowsSynced = 0, rowsDeleted = 0;
};

struct RunContext {
  const ReplicationJob& job;  ///< with its secrets
  std::uint64_t generation = 0;
  const JobDriver& driver;
  Sink& sink;  ///< the replica, not open
  const Clock& clock;
  std::stop_token stop{};
  bool checkDeletes = false;
  /// After each commit. What it throws ends the run.
  std::function<void(const RunProgress& soFar)> progress{};
};

struct RunResult : RunProgress {
  bool more = false;  ///< the page cap was reached
  bool deletesChecked = false;
  std::optional<std::string> cursor{};
  std::vector<std::string> warnings{};
};

/// The name under which a job's checkpoint is kept in the replica.
std::string replicaPipeline(const std::string& job);

/// @throws Error; what was committed stands.
RunResult runJob(const RunContext& context);

}  // namespace tidegate::detail
