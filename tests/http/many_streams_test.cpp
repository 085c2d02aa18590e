// Ten thousand event streams held open by one process, whose clients are another.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <fstream>
#include <mutex>

#include "http/server_rig.h"

namespace tidegate::http {
namespace {

using test::eventually;
using test::RawClient;

constexpr std::size_t kConnections = 10'000;

/// A line of /proc/self/status, e.g. "VmRSS" in KiB.
long processStatus(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name + ":")) return std::stol(line.substr(name.size() + 1));
  }
  return -1;
}

bool raiseOpenFiles(rlim_t to) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min(limit.rlim_max, std::max(to, limit.rlim_cur));
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= to;
}

template <class T>
T readFrom(int fd) {
  T value{};
  return ::read(fd, &value, sizeof value) == sizeof value ? value : T{};
}

template <class T>
void writeTo(int fd, const T& value) {
  static_cast<void>(::write(fd, &value, sizeof value));
}

/// In the child: opens the streams, says so, waits for one event on each, and says on how many it came.
[[noreturn]] void beTheClients(int in, int out) {
  const auto port = readFrom<std::uint16_t>(in);
  std::vector<RawClient> clients;
  clients.reserve(kConnections);
  for (std::size_t i = 0; i < kConnections; ++i) {
    clients.emplace_back(port);
    if (!clients.back().connected()) break;
    clients.back().send("GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
  }
  std::size_t open = 0;
  for (RawClient& client : clients) open += client.readUntil("\r\n\r\n").starts_with("HTTP/1.1 200") ? 1 : 0;
  writeTo(out, open);
  std::size_t told = 0;
  for (RawClient& client : clients) told += client.readUntil("data: now\n\n").ends_with("data: now\n\n") ? 1 : 0;
  writeTo(out, told);
  readFrom<char>(in);
  _exit(0);
}

TEST(HttpManyStreams, HoldsTenThousandInLittleMemoryAndNoThreadEach) {
  if (!raiseOpenFiles(kConnections + 500)) GTEST_SKIP() << "the system allows too few open files";
  int toChild[2];
  int toParent[2];
  ASSERT_EQ(pipe(toChild) + pipe(toParent), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    close(toChild[1]);
    beTheClients(toChild[0], toParent[1]);
  }
  close(toParent[1]);

  std::mutex mutex;
  std::vector<BodyStream> streams;
  test::Rig rig(
      [&](Request&&, Responder answer) {
        const BodyStream stream = answer.stream(200, {{"content-type", "text/event-stream"}});
        stream.after(std::chrono::seconds(60), [stream] { stream.write(": alive\n\n"); });
        const std::lock_guard lock(mutex);
        streams.push_back(stream);
      },
      {.threads = 1});
  const long before = processStatus("VmRSS");
  writeTo(toChild[1], rig.server.port());
  EXPECT_EQ(readFrom<std::size_t>(toParent[0]), kConnections);
  const long held = processStatus("VmRSS");
  EXPECT_LE(held, 256l * 1024);
  EXPECT_EQ(processStatus("Threads"), 2);
  EXPECT_EQ(rig.server.stats().streams, kConnections);
  RecordProperty("kib_before", static_cast<int>(before));
  RecordProperty("kib_held", static_cast<int>(held));
  std::printf("%zu streams: %ld KiB of the process, %ld before\n", kConnections, held, before);

  {
    const std::lock_guard lock(mutex);
    for (const BodyStream& stream : streams) stream.write("data: now\n\n");
  }
  EXPECT_EQ(readFrom<std::size_t>(toParent[0]), kConnections);
  writeTo(toChild[1], 'x');
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(eventually([&] { return rig.server.stats().open == 0; }));
  for (const int fd : {toChild[0], toChild[1], toParent[0]}) close(fd);
}

}  // namespace
}  // namespace tidegate::http
