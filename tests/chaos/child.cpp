#include "chaos/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <thread>

namespace tidegate::chaos {

namespace {

using Steady = std::chrono::steady_clock;

int millisLeft(Steady::time_point until) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Steady::now()).count();
  return left < 0 ? 0 : static_cast<int>(left);
}

}  // namespace

Child::Child(const std::vector<std::string>& command, const std::string& log) {
  std::array<int, 2> toChild{}, fromChild{};
  if (::pipe2(toChild.data(), O_CLOEXEC) != 0 || ::pipe2(fromChild.data(), O_CLOEXEC) != 0) {
    throw std::runtime_error("no pipe to the engine's process");
  }
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("the engine's process could not be started");
  if (pid_ == 0) {
    const int err = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    ::dup2(toChild[0], 0);
    ::dup2(fromChild[1], 1);
    if (err >= 0) ::dup2(err, 2);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(toChild[0]);
  ::close(fromChild[1]);
  in_ = toChild[1];
  out_ = fromChild[0];
}

Child::~Child() {
  kill9();
  ::close(in_);
  ::close(out_);
}

std::optional<std::string> Child::ask(const std::string& line, std::chrono::seconds deadline) {
  const std::string sent = line + "\n";
  if (!alive() || ::write(in_, sent.data(), sent.size()) != static_cast<ssize_t>(sent.size())) return std::nullopt;
  const auto until = Steady::now() + deadline;
  for (;;) {
    const auto end = pending_.rfind(".\n", 0) == 0 ? 0 : pending_.find("\n.\n");
    if (end != std::string::npos) {
      std::string answer = pending_.substr(0, end);
      pending_.erase(0, end + (end == 0 ? 2 : 3));
      return answer;
    }
    pollfd ready{out_, POLLIN, 0};
    if (::poll(&ready, 1, millisLeft(until)) <= 0) return std::nullopt;
    std::array<char, 4096> buffer{};
    const ssize_t got = ::read(out_, buffer.data(), buffer.size());
    if (got <= 0) return std::nullopt;
    pending_.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

bool Child::alive() {
  if (pid_ < 0) return false;
  if (::waitpid(pid_, &status_, WNOHANG) != pid_) return true;
  pid_ = -1;
  return false;
}

void Child::kill9() {
  if (!alive()) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, &status_, 0);
  pid_ = -1;
}

int Child::stop(std::chrono::seconds deadline) {
  static_cast<void>(!::write(in_, "stop\n", 5));
  const auto until = Steady::now() + deadline;
  while (alive()) {
    if (millisLeft(until) == 0) {
      kill9();
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1;
}

}  // namespace tidegate::chaos
