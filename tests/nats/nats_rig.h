/// The servers that tests/nats/with_nats.sh started, as tests use them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "nats/detail/jetstream.h"

namespace tidegate::nats::testing {

/// Their URLs. @throws std::runtime_error that names the script.
std::vector<std::string> serverUrls();
/// Options that reach them all.
ConnectOptions serverOptions();
std::uint16_t portOf(const std::string& url);
/// A name that no other test has.
std::string freshName(std::string_view prefix);

/// Whether it holds within half a minute.
bool soon(const std::function<bool()>& holds);

/// One connection to look at the servers with.
class Servers {
 public:
  Servers() : connection_(serverOptions()), js_(connection_) {}
  detail::JetStream& js() noexcept { return js_; }
  std::vector<std::string> streams();
  void removeStreams();
  /// Waits until the cluster has a leader for its streams.
  void awaitReady();

 private:
  detail::Connection connection_;
  detail::JetStream js_;
};

/// What tests/nats/with_nats.sh does to server `node` (1 and on): "kill", "stop", "start", "freeze", "thaw".
void nodeCommand(const std::string& command, int node);
/// The number of the server with a name of "node<n>"; 0: none.
int nodeNamed(std::string_view name);

}  // namespace tidegate::nats::testing
