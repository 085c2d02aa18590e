/// What tidegate-server serves, put together from its configuration.
#pragma once

#include <memory>
#include <string>

#include "config.h"

class Service {
 public:
  explicit Service(const ServerConfig& config);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  /// Listens. An engine that cannot start is tried again until it can; the others go on without it.
  void start();
  std::string url() const;
  void reloadTls();
  /// @return whether everything was drained.
  bool stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};
