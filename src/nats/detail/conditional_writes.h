/// Writes that count only where a subject's last message is still the one that was seen.
///
/// In a cluster, nats-server (2.9 and 2.10) looks at `Nats-Expected-Last-Subject-Sequence` when a message is proposed
/// and not again when it is applied: of two writers at once both may be told that theirs counts.
/// `Nats-Expected-Last-Sequence` is looked at when it is applied. Both together are exact: where the message is
/// applied, nothing came since the subject was found to be as it should be.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "nats/detail/jetstream.h"

namespace tidegate::nats::detail {

/// Of one stream. @thread Any.
class ConditionalWrites {
 public:
  ConditionalWrites(JetStream& js, std::string stream) : js_(js), stream_(std::move(stream)) {}

  struct Message {
    std::string subject{};
    std::vector<Header> headers{};
    std::string_view body{};
  };
  /// @param revision of the subject's last message; 0: it has none.
  /// @return the servers' answer; without a sequence, and with kWrongLastSequence, the subject has another last
  /// message.
  /// @throws Error as a request with Effect::possible.
  PublishAck write(const Message& message, std::uint64_t revision, const std::string& what);

 private:
  PublishAck send(const Message& message, std::uint64_t revision, std::uint64_t last, const std::string& what);
  void learn(const StreamInfo& info);
  void learn(std::uint64_t last);

  enum class Servers : std::uint8_t { unknown, one, several };
  JetStream& js_;
  const std::string stream_;
  std::atomic<Servers> servers_{Servers::unknown};
  std::atomic<std::uint64_t> last_{0};  ///< the greatest sequence known
};

}  // namespace tidegate::nats::detail
