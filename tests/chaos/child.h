/// A child process that one talks to by lines, and may kill.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace tidegate::chaos {

/// @thread One.
class Child {
 public:
  /// Starts the program; its standard error goes to `log` (appended).
  Child(const std::vector<std::string>& command, const std::string& log);
  /// Kills it, if it still runs.
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Sends a line and reads the answer up to the line ".". nullopt if the child died or took longer than `deadline`.
  std::optional<std::string> ask(const std::string& line, std::chrono::seconds deadline);
  /// SIGKILL, and waits for the end.
  void kill9();
  /// Lets it end by itself. @return its exit code; -1 if it had to be killed.
  int stop(std::chrono::seconds deadline);
  bool alive();
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
  int in_ = -1, out_ = -1;
  int status_ = 0;
  std::string pending_;
};

}  // namespace tidegate::chaos
