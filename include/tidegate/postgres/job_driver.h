/// PostgreSQL for replication jobs.
///
///     ReplicationJobs jobs({.drivers = {{Dialect::postgres, postgres::jobDriver()}}, …});
#pragma once

#include "tidegate/jobs/job_source.h"

namespace tidegate::postgres {

/// How jobs read from it; with change streams by logical replication.
/// @thread Any; what it makes is for one thread at a time.
JobDriver jobDriver();

}  // namespace tidegate::postgres
