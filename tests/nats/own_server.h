/// A nats-server with a configuration of the test's own.
#pragma once

#include <sys/types.h>

#include <string>

namespace tidegate::nats::testing {

/// A folder below /tmp that goes with the object.
class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  const std::string& path() const noexcept { return path_; }
  /// Writes a file into it. @return its path.
  std::string write(const std::string& name, const std::string& content) const;

 private:
  std::string path_;
};

/// Listens on a free port of 127.0.0.1, with JetStream where the configuration says so; killed with the object.
class OwnServer {
 public:
  /// @throws std::runtime_error with the server's log where it does not come up.
  explicit OwnServer(const std::string& config);
  ~OwnServer();
  OwnServer(const OwnServer&) = delete;
  OwnServer& operator=(const OwnServer&) = delete;

  /// "127.0.0.1:<port>"
  const std::string& address() const noexcept { return address_; }
  const std::string& folder() const noexcept { return folder_.path(); }

 private:
  std::string portsFile() const;

  TempFolder folder_;
  pid_t pid_ = -1;
  std::string address_;
};

}  // namespace tidegate::nats::testing
