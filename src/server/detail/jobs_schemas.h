/// JSON Schemas of what the routes for jobs take and give.
#pragma once

#include "tidegate/server/api.h"

namespace tidegate::server::detail {

/// Adds "Job", "JobPatch", "JobStatus", "JobRun", "JobOutcome" and "AdminProblem".
void addJobsSchemas(Api& api);
/// Adds "AdminProblem" alone.
void addProblemSchema(Api& api);

}  // namespace tidegate::server::detail
