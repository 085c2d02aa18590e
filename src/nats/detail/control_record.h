/// What a pipeline's stream says of itself: who owns it, what counts, the checkpoint, the tables' shapes.
/// docs/formats.md, "Changes in NATS".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nats/detail/event_codec.h"

namespace tidegate::nats::detail {

inline constexpr std::string_view kClaim = "claim", kCommit = "commit";

/// Consecutive messages, first and last.
using Run = std::pair<std::uint64_t, std::uint64_t>;

struct ControlRecord {
  bool claim = false;  ///< a writer took over. What was written since the last commit does not count
  std::uint64_t epoch = 0;
  std::uint64_t unit = 0;
  std::vector<Run> runs{};  ///< of a commit: the messages since the last one that count; ascending
  std::optional<std::string> checkpoint{};
  std::uint64_t shapesAt = 0;                   ///< the record that has the shapes; 0: this one
  std::map<std::string, Shape> shapes{};        ///< by name: of all tables, and those that the unit's messages had
  std::map<std::string, std::string> tables{};  ///< the name of each table's shape after the unit
};

std::string controlJson(const ControlRecord& record);
/// @throws Error{parseError}
ControlRecord controlFrom(std::string_view json);

/// Adds a message to those that count.
void addToRuns(std::vector<Run>& runs, std::uint64_t sequence);
bool inRuns(const std::vector<Run>& runs, std::uint64_t sequence) noexcept;

/// A pipeline's stream and subjects.
struct StreamNames {
  std::string stream{};
  std::string prefix{};

  std::string control() const { return prefix + ".c"; }
  std::string table(std::string_view table) const { return prefix + ".t." + subjectToken(table); }
};
StreamNames namesFor(const std::string& stream, const std::string& prefix, const std::string& pipeline);

/// "2/3" of `Tidegate-Part`. @return false: malformed.
struct PartOf {
  std::uint64_t number = 1, count = 1;
};
bool partFrom(std::string_view text, PartOf& out) noexcept;
/// Cuts a message into parts of at most `bytes` octets of body, and appends them.
void appendParts(OutMessage message, std::size_t bytes, std::vector<OutMessage>& out);
/// The body of the message whose last part was found. nullopt: its beginning is gone.
std::optional<std::string> wholeBody(JetStream& js, const std::string& stream, Stored lastPart,
                                     const std::stop_token& stop);

/// The stream's last control record and where its last part is.
struct FoundControl {
  ControlRecord record{};
  std::uint64_t sequence = 0;
};
/// With the shapes of the record that `shapesAt` names, unless that is gone.
std::optional<FoundControl> lastControl(JetStream& js, const StreamNames& names, const std::stop_token& stop);
/// The first control record at or after a place, without other shapes than its own.
std::optional<FoundControl> nextControl(JetStream& js, const StreamNames& names, std::uint64_t from,
                                        const std::stop_token& stop);
/// The record whose last part stands at `sequence`. nullopt: it is gone.
std::optional<ControlRecord> controlAt(JetStream& js, const std::string& stream, std::uint64_t sequence,
                                       const std::stop_token& stop);

}  // namespace tidegate::nats::detail
