/// A Durable Streams server of ours, and the reference's, each in a process of its own.
#pragma once

#include <memory>
#include <string>

namespace tidegate::bench {

/// A running server. Stopped and cleaned up when this dies.
class StreamServerProcess {
 public:
  virtual ~StreamServerProcess() = default;
  int port = 0;
};

/// Ours, in memory or in files in a temporary folder.
std::unique_ptr<StreamServerProcess> ourStreamServer(bool files);
/// npm @durable-streams/server, in memory or in its file mode.
/// @throws std::runtime_error where tests/bench/run.sh has not installed it.
std::unique_ptr<StreamServerProcess> peerStreamServer(bool files);

}  // namespace tidegate::bench
