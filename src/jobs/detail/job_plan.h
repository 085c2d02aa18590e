/// What a job reads and writes, made from what was asked for and what the source's catalogue says.
#pragma once

#include <string>
#include <vector>

#include "tidegate/jobs/replication_job.h"
#include "tidegate/source/change_event.h"

namespace tidegate::detail {

struct JobPlan {
  Shape shape{};                          ///< of the target: the columns that are read, in the catalogue's order
  std::string select{};                   ///< reads them
  std::vector<std::string> keyAliases{};  ///< the key once more, under names of its own: a cursor poll pages by them
  std::string keySelect{};                ///< `select` and the aliases
  std::string from{};                     ///< the table, quoted
  std::vector<std::string> quotedKey{};   ///< in the key's order
  std::vector<std::string> warnings{};
};

/// @throws Error{columnNotFound, typeUnsupported, invalidConfig} naming what does not fit, with the remedy.
JobPlan planJob(const ReplicationJob& job, const JobTable& table);

/// What a change stream of the job is asked for: its columns, and those that say which row is meant; empty: all.
/// @throws Error{columnNotFound, invalidConfig} as `planJob`.
std::vector<std::string> streamColumns(const ReplicationJob& job, const JobTable& table);

}  // namespace tidegate::detail
