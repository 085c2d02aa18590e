/// A bucket of NATS's key-value store, by its wire conventions: a stream with one message for each key.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nats/detail/conditional_writes.h"
#include "nats/detail/jetstream.h"

namespace tidegate::nats::detail {

inline constexpr const char* kFenceHeader = "Tidegate-Fence";

struct KvEntry {
  std::uint64_t revision = 0;
  bool erased = false;  ///< a marker of one that was there
  std::string value{};
  std::uint64_t fence = 0;  ///< of `Tidegate-Fence`; 0: none
  Stored stored{};          ///< for its other headers
};

/// @thread Any.
class Kv {
 public:
  /// Makes the bucket where it is missing and may be. @throws Error
  Kv(JetStream& js, const std::string& bucket, const StreamOptions& options);

  /// The entry as the leader has it, markers included. nullopt: there never was one.
  std::optional<KvEntry> get(const std::string& key);
  struct Write {
    std::string key{};
    std::vector<Header> headers{};
    std::string_view value{};
    bool erase = false;
  };
  /// Writes whatever is there; again where the outcome is unknown. @return its revision.
  std::uint64_t put(const Write& write);
  /// Writes only if the key's last message is `revision` (0: there is none). @return its revision; nullopt: it is
  /// another.
  std::optional<std::uint64_t> putIf(const Write& write, std::uint64_t revision);
  /// Drops the messages of keys that match, without a marker.
  void drop(const std::string& keys);

  /// Anything as a key. The first are its own; the text cannot be read back where it was too long.
  static std::string keyOf(std::string_view anything);
  std::size_t mostValueBytes() const;

 private:
  PublishAck send(const Write& write, const std::string& mark, std::optional<std::uint64_t> revision);

  JetStream& js_;
  const std::string bucket_;
  const std::string stream_;
  ConditionalWrites conditional_;
};

/// @throws Error{invalidConfig}
void checkBucket(const std::string& bucket, const char* what);

}  // namespace tidegate::nats::detail
