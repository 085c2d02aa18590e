/// An adapter as a process of its own, spoken to line by line.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>

namespace tidegate::conformance {

/// @thread One at a time.
class AdapterProcess {
 public:
  /// @throws std::runtime_error where it cannot be started.
  explicit AdapterProcess(const std::string& program);
  /// Closes its input and waits; kills it where it does not end.
  ~AdapterProcess();
  AdapterProcess(const AdapterProcess&) = delete;
  AdapterProcess& operator=(const AdapterProcess&) = delete;

  void send(const std::string& line);
  /// @throws std::runtime_error where no line came in time, or it ended.
  std::string receive(std::chrono::milliseconds deadline = std::chrono::seconds(60));

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  std::string buffer_;
};

}  // namespace tidegate::conformance
