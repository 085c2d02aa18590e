/// Replication jobs and their history in a SQLite file.
///
///     ReplicationJobs jobs({.store = sqlite::jobStore("/var/lib/app/jobs.db"), …});
#pragma once

#include <memory>
#include <string>

#include "tidegate/jobs/job_store.h"

namespace tidegate::sqlite {

/// Opens or makes the file. Each change is a transaction of its own, on disk when it returns. Several processes may
/// share the file. Give each kind of store a file of its own.
/// @throws Error{storeUnavailable, storeCorrupt}; Error{invalidConfig} if the file is a database of something else.
/// @thread Any.
std::shared_ptr<JobStore> jobStore(const std::string& path);

}  // namespace tidegate::sqlite
