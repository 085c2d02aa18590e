#include "nats/own_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace tidegate::nats::testing {
namespace {

constexpr std::chrono::seconds kComingUp{30};

std::string textOf(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string serverProgram() {
  if (const char* path = std::getenv("TIDEGATE_NATS_SERVER"); path != nullptr && *path != '\0') return path;
  for (const char* path : {"/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"}) {
    if (::access(path, X_OK) == 0) return path;
  }
  return "nats-server";
}

}  // namespace

TempFolder::TempFolder() : path_("/tmp/tidegate-nats-own.XXXXXX") {
  if (::mkdtemp(path_.data()) == nullptr) throw std::runtime_error("no folder could be made below /tmp");
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TempFolder::write(const std::string& name, const std::string& content) const {
  const std::string path = path_ + "/" + name;
  std::ofstream(path) << content;
  return path;
}

OwnServer::OwnServer(const std::string& config) {
  // The server takes a free port and says which.
  const std::string file = folder_.write(
      "server.conf", "listen: \"127.0.0.1:-1\"\nports_file_dir: \"" + folder_.path() + "\"\n" + config + "\n");
  const std::string log = folder_.path() + "/log", program = serverProgram();
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    const int out = ::open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::execlp(program.c_str(), program.c_str(), "-c", file.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  const auto deadline = std::chrono::steady_clock::now() + kComingUp;
  for (std::string ports; address_.empty();) {
    ports = textOf(portsFile());
    // {"nats":["tls://127.0.0.1:40371"]}
    const std::size_t from = ports.find("127.0.0.1:"), to = ports.find('"', from);
    if (from != std::string::npos && to != std::string::npos) {
      address_ = ports.substr(from, to - from);
    } else if (::waitpid(pid_, nullptr, WNOHANG) == pid_ || std::chrono::steady_clock::now() > deadline) {
      const std::string said = textOf(log);
      ::kill(pid_, SIGKILL);
      throw std::runtime_error("nats-server did not come up: " + said);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
}

OwnServer::~OwnServer() {
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::string OwnServer::portsFile() const { return folder_.path() + "/nats-server_" + std::to_string(pid_) + ".ports"; }

}  // namespace tidegate::nats::testing
