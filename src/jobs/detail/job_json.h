/// Jobs and runs as JSON trees.
#pragma once

#include <nlohmann/json.hpp>

#include "tidegate/jobs/replication_job.h"

namespace tidegate::detail {

/// What stands in the place of a secret.
inline constexpr std::string_view kHidden = "***";

/// Secrets as `***`.
nlohmann::ordered_json jobTree(const ReplicationJob& job);
/// Sets the members that the tree names. A secret of `***` is left as it is.
/// @throws Error{invalidConfig} naming the member.
void readJob(const nlohmann::json& tree, ReplicationJob& job);

nlohmann::ordered_json runTree(const JobRun& run);
/// @throws nlohmann::json::exception, Error
JobRun runFromTree(const nlohmann::json& tree);

/// The job as it may be shown.
ReplicationJob redacted(ReplicationJob job);

}  // namespace tidegate::detail
