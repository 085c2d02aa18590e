// Appends and catch-up of our Durable Streams server beside npm @durable-streams/server, over the same bare sockets.
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <stdexcept>
#include <vector>

#include "bench/ds_servers.h"
#include "bench/harness.h"
#include "bench/raw_http.h"

namespace tidegate::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr std::chrono::milliseconds kMeasure{1'000};
constexpr std::chrono::milliseconds kWarmUp{300};
constexpr int kConnections = 32;

/// A JSON message of 200 octets.
std::string message(int number) {
  std::string text = "{\"n\":" + std::to_string(number) + ",\"text\":\"";
  text.append(198 - text.size(), 'x').append("\"}");
  return text;
}

void expectAppended(int status) {
  if (status != 204 && status != 200) throw std::runtime_error("an append was answered " + std::to_string(status));
}

std::string newStream(int port) {
  static int number = 0;
  const std::string path = "/v1/stream/bench-" + std::to_string(++number);
  RawHttp http(port);
  if (http.roundTrip(rawPut(path)) != 201) throw std::runtime_error("the stream was not created");
  return path;
}

/// Round trips a second on one connection.
double rateOfOne(int port, const std::string& request) {
  RawHttp http(port);
  const auto run = [&](std::chrono::milliseconds time) {
    std::size_t done = 0;
    const auto start = SteadyClock::now();
    while (SteadyClock::now() - start < time) {
      expectAppended(http.roundTrip(request));
      ++done;
    }
    return static_cast<double>(done) / std::chrono::duration<double>(SteadyClock::now() - start).count();
  };
  run(kWarmUp);
  return run(kMeasure);
}

/// Round trips a second of many connections, each with one request on its way.
double rateOfMany(int port, const std::string& request) {
  std::vector<RawHttp> all;
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (int i = 0; i < kConnections; ++i) {
    all.emplace_back(port);
    epoll_event event{.events = EPOLLIN, .data = {.u32 = static_cast<std::uint32_t>(i)}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, all.back().socket(), &event);
  }
  for (RawHttp& http : all) http.send(request);
  std::array<epoll_event, kConnections> events{};
  const auto run = [&](std::chrono::milliseconds time) {
    std::size_t done = 0;
    const auto start = SteadyClock::now();
    while (SteadyClock::now() - start < time) {
      const int n = ::epoll_wait(epoll, events.data(), kConnections, 1'000);
      for (int i = 0; i < n; ++i) {
        RawHttp& http = all[events[static_cast<std::size_t>(i)].data.u32];
        expectAppended(http.receive());
        http.send(request);
        ++done;
      }
    }
    return static_cast<double>(done) / std::chrono::duration<double>(SteadyClock::now() - start).count();
  };
  run(kWarmUp);
  const double rate = run(kMeasure);
  ::close(epoll);
  return rate;
}

/// Medians of both, measured alternately with servers of their own.
template <class Rate>
void compareAppends(const char* name, bool files, double bar, const std::string& body, double each, const Rate& rate) {
  const auto ours = ourStreamServer(files);
  const auto peer = peerStreamServer(files);
  const std::string ourRequest = rawPost(newStream(ours->port), body);
  const std::string peerRequest = rawPost(newStream(peer->port), body);
  const Pair pair = measurePair(
      kRounds, [&] { return rate(ours->port, ourRequest); }, [&] { return rate(peer->port, peerRequest); });
  report({.name = name,
          .value = pair.ours * each,
          .unit = "messages/s",
          .limit = pair.limit * each,
          .better = Better::higher,
          .bar = bar});
}

void appendOne() { compareAppends("ds_append", false, 2, message(1), 1, rateOfOne); }

void appendBatch() {
  std::string body = "[" + message(0);
  for (int i = 1; i < 100; ++i) body += "," + message(i);
  compareAppends("ds_batch", false, 3, body + "]", 100, rateOfOne);
}

void appendMany() { compareAppends("ds_append_32", false, 3, message(1), 1, rateOfMany); }
void appendDurable() { compareAppends("ds_append_durable", true, 15, message(1), 1, rateOfMany); }

constexpr std::size_t kCatchUpBytes = 20u << 20;

std::string filledStream(int port) {
  const std::string path = newStream(port);
  std::string body = "[" + message(0);
  for (int i = 1; i < 500; ++i) body += "," + message(i);
  const std::string request = rawPost(path, body + "]");
  RawHttp http(port);
  for (std::size_t sent = 0; sent < kCatchUpBytes; sent += body.size()) expectAppended(http.roundTrip(request));
  return path;
}

/// Megabytes a second of a reader that goes on until it is up to date.
double catchUpRate(int port, const std::string& path) {
  RawHttp http(port);
  std::string offset = "-1";
  std::size_t octets = 0;
  const auto start = SteadyClock::now();
  do {
    if (http.roundTrip(rawGet(path + "?offset=" + offset)) != 200) throw std::runtime_error("a read was refused");
    octets += http.body().size();
    offset = http.field("stream-next-offset");
  } while (http.field("stream-up-to-date") != "true");
  if (octets < kCatchUpBytes) throw std::runtime_error("the reader got less than there is");
  return static_cast<double>(octets) / 1e6 / std::chrono::duration<double>(SteadyClock::now() - start).count();
}

void catchUp() {
  const auto ours = ourStreamServer(false);
  const auto peer = peerStreamServer(false);
  const std::string ourPath = filledStream(ours->port);
  const std::string peerPath = filledStream(peer->port);
  const Pair pair = measurePair(
      9, [&] { return catchUpRate(ours->port, ourPath); }, [&] { return catchUpRate(peer->port, peerPath); });
  report({.name = "ds_catch_up",
          .value = pair.ours,
          .unit = "MB/s",
          .limit = pair.limit,
          .better = Better::higher,
          .bar = 10});
}

const Registration kAppendOne("ds_append", "200-byte appends on one connection, beside the reference server",
                              appendOne);
const Registration kAppendBatch("ds_batch", "100 messages a POST on one connection, beside the reference server",
                                appendBatch);
const Registration kAppendMany("ds_append_32", "appends on 32 connections, beside the reference server", appendMany);
const Registration kAppendDurable("ds_append_durable", "synced appends on 32 connections, beside its file mode",
                                  appendDurable);
const Registration kCatchUp("ds_catch_up", "reading 20 MB from the beginning, beside the reference server", catchUp);

}  // namespace
}  // namespace tidegate::bench
