// 2,000 clients with rules of their own on one server, half WebSockets, half event streams; 1,000 changes a second for
// 60 s (TIDEGATE_LOAD_SECONDS). Every client must end with its view; delivery times and memory are printed.
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "bench/harness.h"
#include "bench/raw_http.h"
#include "http/detail/websocket_frames.h"
#include "server/detail/sync_proto.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/http/sse.h"
#include "tidegate/server/sync_api.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kClients = 2'000;
constexpr std::size_t kRooms = 200;
constexpr std::size_t kRows = 5'000;
constexpr std::size_t kPerPush = 10;
constexpr int kPushesPerSecond = 100;

std::int64_t nowUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::size_t residentKiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stoul(line.substr(6));
  }
  return 0;
}

/// "client:N" is subject N in room N mod 200; "writer" writes.
class ByNumber final : public server::Authenticator {
 public:
  server::Identity identify(const http::Request& request) const override {
    const std::string token = http::queryParameter(request.query, "token").value_or("writer");
    server::Identity who{.role = server::Role::client, .subject = token};
    if (token == "writer") return who;
    who.claims = {{"sub", {token}}, {"room", {"r" + std::to_string(std::stoul(token) % kRooms)}}};
    return who;
  }
};

using LoadView = std::unordered_map<std::string, std::int64_t>;  ///< row: its number

const ColumnValue* columnOf(const RowDelta& delta, std::string_view name) {
  for (const ColumnValue& column : delta.columns) {
    if (column.column == name) return &column;
  }
  return nullptr;
}

/// One client: octets in, view and delivery times out.
class LoadClient {
 public:
  LoadClient(std::uint16_t port, std::size_t number, bool socket)
      : webSocket_(socket), sse_([this](const auto& event) {
          if (event.type == "resync") throw std::runtime_error("a client was told to resync");
          if (event.type == "deltas") take(pullResultFromJson(event.data));
        }) {
    fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("cannot connect");
    const std::string request = "GET /v1/sync/main/" + std::string(socket ? "ws" : "events") +
                                "?since=0&token=" + std::to_string(number) + " HTTP/1.1\r\nHost: a\r\n" +
                                (socket ? "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                        : "") +
                                "\r\n";
    if (::send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("cannot send");
  }
  ~LoadClient() { close(fd); }

  void onReadable() {
    std::array<char, 16384> buffer;
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (got == 0) throw std::runtime_error("the server closed a client's connection");
    if (got > 0) feed(std::string_view(buffer.data(), static_cast<std::size_t>(got)));
  }

  int fd = -1;
  LoadView view{};
  std::vector<std::int64_t>* latencies = nullptr;

 private:
  void feed(std::string_view octets) {
    if (!headRead_) {
      head_ += octets;
      const std::size_t end = head_.find("\r\n\r\n");
      if (end == std::string::npos) return;
      if (!head_.starts_with(webSocket_ ? "HTTP/1.1 101" : "HTTP/1.1 200"))
        throw std::runtime_error("refused: " + head_);
      headRead_ = true;
      const std::string rest = std::move(head_).substr(end + 4);
      return feed(rest);
    }
    webSocket_ ? feedFrames(octets) : feedChunks(octets);
  }
  void feedFrames(std::string_view octets) {
    while (!octets.empty()) {
      octets.remove_prefix(frames_.feed(octets));
      if (frames_.state() == http::detail::WsReader::State::more) return;
      if (frames_.state() == http::detail::WsReader::State::ping) answerPing();
      if (frames_.state() == http::detail::WsReader::State::message) {
        take(server::detail::pullResultFromProto(std::string_view(frames_.payload()).substr(1)));
      }
      if (frames_.state() == http::detail::WsReader::State::close) throw std::runtime_error("a socket was closed");
      frames_.next();
    }
  }
  void answerPing() {
    std::string pong;
    http::detail::appendMaskedFrame(http::detail::WsOpcode::pong, frames_.payload(), 1, pong);
    if (::send(fd, pong.data(), pong.size(), MSG_NOSIGNAL) < 0) throw std::runtime_error("cannot send");
  }
  void feedChunks(std::string_view octets) {
    chunks_ += octets;
    for (std::size_t end; (end = chunks_.find("\r\n")) != std::string::npos;) {
      const std::size_t size = std::stoul(chunks_, nullptr, 16);
      if (chunks_.size() < end + 4 + size) return;
      sse_.feed(std::string_view(chunks_).substr(end + 2, size));
      chunks_.erase(0, end + 4 + size);
    }
  }
  void take(const PullResult& page) {
    if (page.mustResync) throw std::runtime_error("a client was told to resync");
    const std::int64_t now = nowUs();
    for (const RowDelta& delta : page.deltas) {
      if (delta.op == DeltaOp::erase) {
        view.erase(delta.rowId);
        continue;
      }
      if (const ColumnValue* n = columnOf(delta, "n")) view[delta.rowId] = *n->value.getIf<std::int64_t>();
      const ColumnValue* t = columnOf(delta, "t");
      if (t != nullptr && latencies != nullptr) latencies->push_back(now - *t->value.getIf<std::int64_t>());
    }
  }

  const bool webSocket_;
  bool headRead_ = false;
  std::string head_{};
  std::string chunks_{};
  http::detail::WsReader frames_{false, 64u << 20};
  http::SseParser sse_;
};

GatewayOptions loadOptions() {
  GatewayOptions options;
  options.rules = SyncRules::parse(R"({"version":1,"buckets":[
      {"name":"mine","tables":["rows"],"filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]},
      {"name":"room","tables":["rows"],"filters":[{"column":"room","op":"eq","value":"jwt:room"}]}]})");
  options.retention.maxLogEntries = 20'000;  // memory is to be flat, not to grow with the log
  options.retention.dedupeIds = 20'000;
  return options;
}

/// Changes over HTTP, at a steady pace.
void write(Gateway& gateway, std::uint16_t port, int seconds) {
  RawHttp connection(port);
  std::mt19937_64 random(1);
  const auto below = [&](std::size_t bound) { return random() % bound; };
  auto next = std::chrono::steady_clock::now();
  for (int i = 0; i < seconds * kPushesPerSecond; ++i, next += std::chrono::milliseconds(1'000 / kPushesPerSecond)) {
    std::this_thread::sleep_until(next);
    SyncPush push{"writer", {}, {}};
    for (std::size_t k = 0; k < kPerPush; ++k) {
      RowDelta delta{DeltaOp::insert, "rows", std::to_string(below(kRows)), "writer", {}, gateway.clock().now(), {}};
      if (below(20) == 0) {
        delta.op = DeltaOp::erase;
      } else {
        delta.columns = {{"owner", std::to_string(below(kClients))},
                         {"room", "r" + std::to_string(below(kRooms))},
                         {"n", static_cast<std::int64_t>(below(1'000'000))},
                         {"t", nowUs()}};
      }
      push.deltas.push_back(std::move(delta));
    }
    if (connection.roundTrip(rawPost("/v1/sync/main/push", toJson(push))) != 200)
      throw std::runtime_error(connection.body());
  }
}

std::vector<LoadView> expectedViews(Gateway& gateway) {
  std::vector<LoadView> views(kClients);
  // Everything, whatever the rules: each row is dealt out to whom the two buckets give it.
  gateway.setSyncRules({});
  GatewaySnapshot snapshot = gateway.snapshot();
  for (RowDelta row; snapshot.next(row); row = {}) {
    const std::size_t owner = std::stoul(*columnOf(row, "owner")->value.getIf<std::string>());
    const std::size_t room = std::stoul(columnOf(row, "room")->value.getIf<std::string>()->substr(1));
    const std::int64_t n = *columnOf(row, "n")->value.getIf<std::int64_t>();
    views[owner][row.rowId] = n;
    for (std::size_t client = room; client < kClients; client += kRooms) views[client][row.rowId] = n;
  }
  return views;
}

double cpuSecondsOf(clockid_t clock) {
  timespec at{};
  clock_gettime(clock, &at);
  return static_cast<double>(at.tv_sec) + static_cast<double>(at.tv_nsec) / 1e9;
}

/// All clients on one thread. @return delivery times in microseconds.
std::vector<std::int64_t> readUntilDone(std::vector<std::unique_ptr<LoadClient>>& clients,
                                        const std::atomic<bool>& written) {
  std::vector<std::int64_t> latencies;
  const int poller = epoll_create1(EPOLL_CLOEXEC);
  for (std::size_t i = 0; i < clients.size(); ++i) {
    clients[i]->latencies = &latencies;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    epoll_ctl(poller, EPOLL_CTL_ADD, clients[i]->fd, &event);
  }
  std::array<epoll_event, 256> events;
  for (bool quiet = false; !(written && quiet);) {
    const int ready = epoll_wait(poller, events.data(), static_cast<int>(events.size()), 1'000);
    quiet = ready == 0;
    for (int i = 0; i < ready; ++i) clients[events[static_cast<std::size_t>(i)].data.u64]->onReadable();
  }
  close(poller);
  return latencies;
}

void syncLoad() {
  const char* given = std::getenv("TIDEGATE_LOAD_SECONDS");
  const int seconds = given != nullptr ? std::atoi(given) : 60;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = std::min<rlim_t>(files.rlim_max, 3 * kClients);
  setrlimit(RLIMIT_NOFILE, &files);

  Gateway gateway(loadOptions());
  server::SyncApi sync({{.name = "main", .gateway = &gateway}});
  server::Api api;
  sync.addTo(api);
  http::Server server({}, api.handler(std::make_shared<ByNumber>()));
  server.start();
  std::vector<std::unique_ptr<LoadClient>> clients;
  const std::size_t alone = residentKiB();
  for (std::size_t i = 0; i < kClients; ++i)
    clients.push_back(std::make_unique<LoadClient>(server.port(), i, i % 2 == 0));
  reportFigure("sync_load_client_memory", static_cast<double>(residentKiB() - alone) / kClients,
               "KiB, both ends of a connection");
  const double cpuBefore = cpuSecondsOf(CLOCK_PROCESS_CPUTIME_ID) - cpuSecondsOf(CLOCK_THREAD_CPUTIME_ID);

  std::atomic<bool> written{false};
  std::size_t early = 0;
  std::jthread sampling([&](const std::stop_token&) {
    std::this_thread::sleep_for(std::chrono::milliseconds(seconds * 1'000 / 3));
    early = residentKiB();
  });
  std::string failure;
  std::jthread writing([&] {
    try {
      write(gateway, server.port(), seconds);
    } catch (const std::exception& e) {
      failure = e.what();
    }
    written = true;
  });
  std::vector<std::int64_t> latencies = readUntilDone(clients, written);
  writing.join();
  sampling.join();
  if (!failure.empty()) throw std::runtime_error(failure);
  // This thread's is the clients'; the writer's own is a few percent.
  const double cpu = cpuSecondsOf(CLOCK_PROCESS_CPUTIME_ID) - cpuSecondsOf(CLOCK_THREAD_CPUTIME_ID) - cpuBefore;
  const std::size_t late = residentKiB() - latencies.capacity() * sizeof latencies[0] / 1024;

  const std::vector<LoadView> expected = expectedViews(gateway);
  double converged = 0;
  for (std::size_t i = 0; i < kClients; ++i) converged += clients[i]->view == expected[i] ? 1 : 0;
  std::sort(latencies.begin(), latencies.end());
  const auto part = [&](std::size_t percent) {
    return static_cast<double>(latencies[latencies.size() * percent / 100]) / 1'000;
  };
  report({"sync_load_converged", converged, "clients", kClients, Better::higher, 1.0});
  reportFigure("sync_load_deliveries", static_cast<double>(latencies.size()), "deltas");
  reportFigure("sync_load_cpu", cpu * 1e6 / static_cast<double>(latencies.size()), "us of the server's for a delivery");
  reportFigure("sync_load_p50", part(50), "ms");
  reportFigure("sync_load_p99", part(99), "ms");
  report({"sync_load_memory", static_cast<double>(late), "KiB", static_cast<double>(early), Better::lower, 1.1});
}

const Registration kSyncLoad("sync_load",
                             "2,000 followers with rules of their own, 1,000 changes a second for a minute", syncLoad);

}  // namespace
}  // namespace tidegate::bench
