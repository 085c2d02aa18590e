/// What it means that a job is made again: which of its fields say that its rows are others.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "jobs/detail/jobs_core.h"

namespace tidegate::detail {

/// Why what was read must be read again; empty if it need not.
std::string resetReason(const ReplicationJob& before, const ReplicationJob& after);

/// Everything that can be checked without changing anything. Takes the place of secrets of `***`.
/// @return the job whole, with warnings.
struct CheckedJob {
  ReplicationJob job{};  ///< with its secrets
  JobCreated outcome{};
};
/// @throws Error
CheckedJob checkJob(JobsCore& core, ReplicationJob job);

/// The record that the job becomes.
JobRecord recordFor(const ReplicationJob& job, const JobKey& key, const JobRecord* before, Clock::Micros now);

}  // namespace tidegate::detail
