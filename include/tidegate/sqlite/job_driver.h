/// SQLite for replication jobs.
///
///     ReplicationJobs jobs({.drivers = {{Dialect::sqlite, sqlite::jobDriver()}}, …});
#pragma once

#include "tidegate/jobs/job_source.h"

namespace tidegate::sqlite {

/// How jobs read from files of it; there is no change stream. `JobSource::database` is the path.
/// @thread Any; what it makes is for one thread at a time.
JobDriver jobDriver();

}  // namespace tidegate::sqlite
