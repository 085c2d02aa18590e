/// Snapshots of a shared log's state in a stream of their own: chunks, then a manifest that makes them count.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "nats/detail/conditional_writes.h"
#include "nats/detail/jetstream.h"

namespace tidegate::nats::detail {

/// What names a whole snapshot.
struct SnapshotManifest {
  std::uint64_t sequence = 0;  ///< of the log's entry
  std::string writing{};       ///< under which its chunks are
  std::uint64_t messages = 0;
  std::uint64_t first = 0;  ///< the first of them in the stream
};
std::string manifestJson(const SnapshotManifest& manifest);
/// @throws Error{parseError}
SnapshotManifest manifestFrom(std::string_view json);

/// @thread `put`: one at a time, beside `read`.
class Snapshots {
 public:
  Snapshots(JetStream& js, std::string stream, std::string prefix);

  void put(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next);
  std::optional<std::uint64_t> read(const std::function<void(std::string_view chunk)>& chunk);

 private:
  struct Found {
    SnapshotManifest manifest{};
    std::uint64_t revision = 0;
  };
  std::optional<Found> newest();
  std::uint64_t putMessage(const SnapshotManifest& manifest, std::string_view octets, const std::string& part);
  /// Makes it the newest, unless a newer one is there. @return whether it is.
  bool name(const SnapshotManifest& manifest, const std::string& mark);
  void dropOthers(const std::string& kept);
  bool readChunks(const SnapshotManifest& manifest, const std::function<void(std::string_view chunk)>& chunk);
  std::string chunkSubject(const std::string& writing) const { return prefix_ + ".s." + writing; }

  JetStream& js_;
  const std::string stream_;
  const std::string prefix_;
  ConditionalWrites conditional_;
  std::string previous_;  ///< of `put`: the writing that the last one replaced
};

}  // namespace tidegate::nats::detail
