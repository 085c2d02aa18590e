/// Commands run beside a measurement.
#pragma once

#include <sys/types.h>

#include <string>

namespace tidegate::bench {

/// Runs a shell command to its end. @throws std::runtime_error with the command if it fails.
void runCommand(const std::string& command);

/// A shell command that runs in the background, with its standard output in a pipe; killed when this dies.
class BackgroundCommand {
 public:
  explicit BackgroundCommand(const std::string& command);
  ~BackgroundCommand();
  BackgroundCommand(const BackgroundCommand&) = delete;
  BackgroundCommand& operator=(const BackgroundCommand&) = delete;
  /// The reading end of its standard output.
  int output() const { return output_; }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// Runs `work` in a process of its own. @return the most memory it held at once, in octets.
/// @throws std::runtime_error if it ended otherwise than by returning.
template <class Work>
std::size_t peakMemoryOf(Work&& work);

/// `fork` without its trap doors: 0 in the child. @throws std::runtime_error
pid_t forkChild();
/// Ends a forked child.
[[noreturn]] void endChild(int code);
/// Waits for a forked child. @return ru_maxrss in octets. @throws std::runtime_error if its exit code is not 0.
std::size_t waitForChild(pid_t child);

template <class Work>
std::size_t peakMemoryOf(Work&& work) {
  const pid_t child = forkChild();
  if (child == 0) {
    try {
      work();
    } catch (...) {
      endChild(1);
    }
    endChild(0);
  }
  return waitForChild(child);
}

}  // namespace tidegate::bench
