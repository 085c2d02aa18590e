#include "conformance/ds_client_scenarios/adapter_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

extern char** environ;

namespace tidegate::conformance {

AdapterProcess::AdapterProcess(const std::string& program) {
  int toChild[2];
  int fromChild[2];
  if (pipe2(toChild, O_CLOEXEC) != 0 || pipe2(fromChild, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, toChild[0], STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fromChild[1], STDOUT_FILENO);
  std::string name = program;
  char* arguments[] = {name.data(), nullptr};
  const int failed = posix_spawn(&pid_, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(toChild[0]);
  ::close(fromChild[1]);
  in_ = toChild[1];
  out_ = fromChild[0];
  if (failed != 0) throw std::runtime_error(program + " cannot be started");
}

AdapterProcess::~AdapterProcess() {
  ::close(in_);
  // Its output ends when it does.
  pollfd ready{.fd = out_, .events = POLLIN, .revents = 0};
  char rest[4096];
  bool ended = false;
  while (poll(&ready, 1, 5000) > 0 && !ended) ended = ::read(out_, rest, sizeof rest) <= 0;
  if (!ended) ::kill(pid_, SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ::close(out_);
}

void AdapterProcess::send(const std::string& line) {
  const std::string text = line + "\n";
  for (std::size_t sent = 0; sent < text.size();) {
    const ssize_t wrote = ::write(in_, text.data() + sent, text.size() - sent);
    if (wrote < 0) throw std::runtime_error("the adapter takes no input");
    sent += static_cast<std::size_t>(wrote);
  }
}

std::string AdapterProcess::receive(std::chrono::milliseconds deadline) {
  const auto until = std::chrono::steady_clock::now() + deadline;
  while (true) {
    if (const std::size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    pollfd ready{.fd = out_, .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) {
      throw std::runtime_error("the adapter gave no result in time");
    }
    char piece[4096];
    const ssize_t got = ::read(out_, piece, sizeof piece);
    if (got <= 0) throw std::runtime_error("the adapter ended");
    buffer_.append(piece, static_cast<std::size_t>(got));
  }
}

}  // namespace tidegate::conformance
