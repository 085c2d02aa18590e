/// Replication jobs over HTTP: made, changed, run and watched by admins. docs/admin-api.md has every route.
///
///     ReplicationJobs jobs({…});
///     Api api;
///     addJobsApi(api, jobs);   // POST /replication/jobs, POST /replication/jobs/{name}/run, …
///
/// Origin: the routes of StarbaseDB's replication plugin; differs in PATCH, check, pause, cancel and history, in that a
/// failure names the field and the remedy, and in that no answer ever holds a secret.
#pragma once

#include <cstddef>

#include "tidegate/jobs/replication_jobs.h"
#include "tidegate/server/api.h"

namespace tidegate::server {

struct JobsApiOptions {
  /// Threads for callers that wait for a run's end, so that they keep nobody else waiting; 1..64.
  std::size_t waitingRuns = 4;
  std::size_t queuedRuns = 64;  ///< that wait for such a thread; over it: 503
};

/// Adds the routes, for admins alone. @throws Error{invalidConfig}. `jobs` must outlive the api. Stop the jobs before
/// the api goes: that ends the runs that callers wait for.
void addJobsApi(Api& api, ReplicationJobs& jobs, const JobsApiOptions& options = {});

}  // namespace tidegate::server
