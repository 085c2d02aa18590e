/// MySQL and MariaDB for replication jobs.
///
///     ReplicationJobs jobs({.drivers = {{Dialect::mysql, mysql::jobDriver()}}, …});
#pragma once

#include "tidegate/jobs/job_source.h"

namespace tidegate::mysql {

/// How jobs read from them; there is no change stream yet.
/// @thread Any; what it makes is for one thread at a time.
JobDriver jobDriver();

}  // namespace tidegate::mysql
