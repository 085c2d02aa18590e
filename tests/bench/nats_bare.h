/// JetStream's own rates, through cnats with nothing added: what the benchmarks of the NATS driver are held against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "nats/detail/jetstream.h"

namespace tidegate::bench {

/// A stream of its own, gone with the object.
class BareStream {
 public:
  BareStream(nats::detail::JetStream& js, std::uint32_t replicas);
  ~BareStream();
  BareStream(const BareStream&) = delete;
  BareStream& operator=(const BareStream&) = delete;
  const std::string& name() const noexcept { return name_; }
  std::string subject() const { return "bare." + name_; }

 private:
  nats::detail::JetStream& js_;
  const std::string name_;
};

/// Publishes `count` messages, of the bodies in turn, and waits until all are acknowledged. @throws std::runtime_error
void publishBare(nats::detail::JetStream& js, const std::string& subject, const std::vector<std::string>& bodies,
                 std::size_t count, bool ids);

/// Fetches `count` messages through a connection and a consumer of its own, whether they are there or yet to come.
/// @return their octets. @throws std::runtime_error
std::size_t fetchBare(const std::string& stream, const std::string& subjects, std::size_t count);

}  // namespace tidegate::bench
