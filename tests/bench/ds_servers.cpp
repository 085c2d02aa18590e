#include "bench/ds_servers.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <thread>

#include "bench/child_process.h"
#include "tidegate/durable_streams/file_store.h"
#include "tidegate/durable_streams/server.h"

namespace tidegate::bench {

namespace {

/// A folder that goes with this.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "tidegate-bench-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void serveUntilKilled(const std::string& folder, int tell) {
  std::shared_ptr<durable_streams::StreamStore> store;
  if (folder.empty()) {
    store = durable_streams::memoryStreamStore();
  } else {
    store = durable_streams::fileStreamStore({.folder = folder + "/streams"});
  }
  durable_streams::DurableStreamServer streams({.store = store});
  http::Server server({}, streams.handler());
  server.start();
  const int port = server.port();
  if (::write(tell, &port, sizeof port) != sizeof port) return;
  while (true) std::this_thread::sleep_for(std::chrono::hours(1));
}

class OurServer final : public StreamServerProcess {
 public:
  explicit OurServer(bool files) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) throw std::runtime_error("no pipe");
    pid_ = forkChild();
    if (pid_ == 0) {
      try {
        serveUntilKilled(files ? folder_.path() : "", ends[1]);
      } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
      }
      endChild(1);
    }
    ::close(ends[1]);
    const bool told = ::read(ends[0], &port, sizeof port) == sizeof port;
    ::close(ends[0]);
    if (!told) throw std::runtime_error("our server did not start");
  }
  ~OurServer() override {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

 private:
  ScratchFolder folder_;
  pid_t pid_ = -1;
};

class PeerServer final : public StreamServerProcess {
 public:
  explicit PeerServer(bool files) {
    const char* npm = std::getenv("TIDEGATE_DS_PEER");
    if (npm == nullptr) throw std::runtime_error("this needs the reference server: run it through tests/bench/run.sh");
    command_ = std::make_unique<BackgroundCommand>("exec node " + std::string(npm) + "/ds_peer.mjs " +
                                                   (files ? folder_.path() : ""));
    std::string text;
    std::array<char, 256> piece{};
    // Its file mode has something to say before.
    std::size_t at = 0;
    while ((at = text.find("port ")) == std::string::npos || text.find('\n', at) == std::string::npos) {
      const ssize_t n = ::read(command_->output(), piece.data(), piece.size());
      if (n <= 0) throw std::runtime_error("the reference server did not start");
      text.append(piece.data(), static_cast<std::size_t>(n));
    }
    port = std::atoi(text.c_str() + at + 5);
  }

 private:
  ScratchFolder folder_;
  std::unique_ptr<BackgroundCommand> command_;
};

}  // namespace

std::unique_ptr<StreamServerProcess> ourStreamServer(bool files) { return std::make_unique<OurServer>(files); }
std::unique_ptr<StreamServerProcess> peerStreamServer(bool files) { return std::make_unique<PeerServer>(files); }

}  // namespace tidegate::bench
