#include "bench/child_process.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace tidegate::bench {

void runCommand(const std::string& command) {
  if (std::system(command.c_str()) != 0) throw std::runtime_error("this failed: " + command);
}

BackgroundCommand::BackgroundCommand(const std::string& command) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe for " + command);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);  // so that the shell's own children die with it
    ::dup2(ends[1], 1);
    ::execl("/bin/sh", "sh", "-c", command.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::setpgid(pid_, pid_);
  ::close(ends[1]);
  output_ = ends[0];
}

BackgroundCommand::~BackgroundCommand() {
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  ::close(output_);
}

pid_t forkChild() {
  std::fflush(stdout);
  ::malloc_trim(0);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork failed");
  return child;
}

void endChild(int code) {
  std::fflush(stdout);
  ::_exit(code);
}

std::size_t waitForChild(pid_t child) {
  int status = 0;
  rusage usage{};
  ::wait4(child, &status, 0, &usage);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw std::runtime_error("a measured process failed");
  return static_cast<std::size_t>(usage.ru_maxrss) * 1024;
}

}  // namespace tidegate::bench
