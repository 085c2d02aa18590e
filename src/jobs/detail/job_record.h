/// A job as it is kept: what was asked for, where it stands, and who runs it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/jobs/job_key.h"
#include "tidegate/jobs/replication_job.h"

namespace tidegate::detail {

/// Who runs a job. A lease is alive while its beat goes on; whoever sees it stand still for long enough may take it.
struct JobLease {
  std::string owner{};
  std::uint64_t epoch = 0;  ///< another one with each run
  std::uint64_t beat = 0;
  bool operator==(const JobLease&) const = default;
};

struct JobRecord {
  ReplicationJob job{};          ///< secrets as `***`
  std::string sealed{};          ///< the secrets
  std::uint64_t generation = 1;  ///< another one: what was read is read again
  Clock::Micros createdAt{0};
  /// Ticks at or before this are done with: a run that began at or after them has ended.
  Clock::Micros handled{0};
  bool paused = false;
  bool asked = false;  ///< somebody asked for a run
  bool goOn = false;   ///< the last run reached its page cap
  std::uint64_t rowsSynced = 0, rowsDeleted = 0, runs = 0;
  std::uint32_t failures = 0;  ///< in a row
  bool retries = false;        ///< the last failure may pass by itself
  std::optional<Clock::Micros> retryAt{}, lastRunAt{}, lastSuccessAt{}, lastDeleteCheck{};
  std::optional<std::string> lastError{}, cursor{};
  std::uint64_t lastRunId = 0, lastEpoch = 0;
  std::optional<JobLease> lease{};
  std::optional<JobRun> current{};  ///< the run that the lease is for
};

std::string encodeRecord(const JobRecord& record);
/// @throws Error{storeCorrupt} naming the job.
JobRecord decodeRecord(std::string_view name, std::string_view text);

/// Splits a job into what may be seen and what may not.
void hideSecrets(ReplicationJob job, const JobKey& key, JobRecord& record);
/// The source with its secrets. @throws Error{storeCorrupt}
JobSource openSource(const JobRecord& record, const JobKey& key);

}  // namespace tidegate::detail
