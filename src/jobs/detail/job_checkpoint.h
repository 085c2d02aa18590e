/// What a job's run writes into the replica together with its rows: how far it has come.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::detail {

struct JobCheckpoint {
  std::uint64_t generation = 0;        ///< of the job: a checkpoint of another one counts for nothing
  std::uint64_t config = 0;            ///< the hash under which `state` was saved
  std::string state{};                 ///< of the cursor poller; empty: none
  std::vector<std::string> columns{};  ///< that were read
  bool operator==(const JobCheckpoint&) const = default;
};

/// Text, as sinks want it.
std::string encodeCheckpoint(const JobCheckpoint& checkpoint);
/// @return nullopt for a text that is none.
std::optional<JobCheckpoint> decodeCheckpoint(std::string_view text);

}  // namespace tidegate::detail
