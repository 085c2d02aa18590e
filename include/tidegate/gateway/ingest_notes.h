/// What an ingest sender keeps in the gateway, in the commits of what it brings: how far it is, and whose turn it is.
///
///     const IngestState held = gateway.takeIngest("ingest:shop");       // any other holder is fenced off
///     const IngestNotes notes{held.epoch, {{"checkpoint", "17"}}};
///     gateway.handlePush(push, {.trusted = true, .ingest = true, .notes = &notes});   // both, or neither
///
/// So a sender that goes on from its own notes brings each change once, whenever either of the two was killed.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tidegate {

/// One entry. Readers of the gateway never see it.
struct IngestNote {
  std::string key{};                    ///< not empty
  std::optional<std::string> octets{};  ///< nullopt: the entry goes
};

/// What goes with a push.
struct IngestNotes {
  std::uint64_t epoch = 0;  ///< as `takeIngest` gave it
  std::vector<IngestNote> notes{};
};

/// What the gateway holds of a sender.
struct IngestState {
  std::uint64_t epoch = 0;  ///< of the last `takeIngest`; 0: nobody ever took it
  std::map<std::string, std::string, std::less<>> notes{};
};

}  // namespace tidegate
