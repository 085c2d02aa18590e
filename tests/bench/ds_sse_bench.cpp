// From an append to its event at many readers: our Durable Streams server beside npm @durable-streams/server.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/ds_servers.h"
#include "bench/harness.h"
#include "bench/raw_http.h"

namespace tidegate::bench {
namespace {

using SteadyClock = std::chrono::steady_clock;

std::int64_t nowMicros() {
  return std::chrono::duration_cast<std::chrono::microseconds>(SteadyClock::now().time_since_epoch()).count();
}

/// One reader: finds the marks "t":<micros> in what comes, however it is cut.
struct EventReader {
  RawHttp http;
  std::string text{};
  std::size_t seen = 0;
};

struct Fanout {
  std::vector<double> millis{};  ///< of each message at each reader
  std::size_t expected = 0;
};

void take(EventReader& reader, std::vector<double>& millis) {
  constexpr std::string_view kMark = "\"t\":";
  std::size_t done = 0;
  while (true) {
    const std::size_t at = reader.text.find(kMark, done);
    if (at == std::string::npos) break;
    const std::size_t end = reader.text.find(',', at + kMark.size());
    if (end == std::string::npos) {
      done = at;
      break;
    }
    const std::int64_t sent = std::strtoll(reader.text.c_str() + at + kMark.size(), nullptr, 10);
    millis.push_back(static_cast<double>(nowMicros() - sent) / 1'000);
    ++reader.seen;
    done = end;
  }
  // A mark may be cut by the end.
  const std::size_t keep = std::min<std::size_t>(reader.text.size(), 32);
  reader.text.erase(0, std::max(done, reader.text.size() - keep));
}

std::string timedMessage() {
  std::string text = "{\"t\":" + std::to_string(nowMicros()) + ",\"text\":\"";
  text.append(198 - text.size(), 'x').append("\"}");
  return text;
}

std::vector<EventReader> connectReaders(int port, const std::string& path, std::size_t count, int epoll) {
  std::vector<EventReader> readers;
  readers.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    readers.push_back({RawHttp(port)});
    readers.back().http.send(rawGet(path + "?offset=now&live=sse"));
    epoll_event event{.events = EPOLLIN, .data = {.u64 = i}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, readers.back().http.socket(), &event);
  }
  return readers;
}

/// Publishes `messages` at a steady pace to `count` readers.
Fanout fanOut(int port, std::size_t count, std::size_t messages, std::chrono::microseconds pace) {
  static int number = 0;
  const std::string path = "/v1/stream/events-" + std::to_string(++number);
  RawHttp publisher(port);
  if (publisher.roundTrip(rawPut(path)) != 201) throw std::runtime_error("the stream was not created");
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  auto readers = connectReaders(port, path, count, epoll);
  Fanout result{.expected = count * messages};
  result.millis.reserve(result.expected);
  std::array<epoll_event, 256> events{};
  std::size_t greeted = 0;
  const auto poll = [&] {
    const int n = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 50);
    for (int i = 0; i < n; ++i) {
      EventReader& reader = readers[events[static_cast<std::size_t>(i)].data.u64];
      const bool greeting = reader.text.find("streamNextOffset") == std::string::npos && reader.seen == 0;
      if (!reader.http.readSome(reader.text)) throw std::runtime_error("a reader's connection ended");
      if (greeting && reader.text.find("streamNextOffset") != std::string::npos) ++greeted;
      take(reader, result.millis);
    }
  };
  const auto deadline = SteadyClock::now() + std::chrono::seconds(60);
  while (greeted < count && SteadyClock::now() < deadline) poll();
  if (greeted < count) throw std::runtime_error("some readers were never answered");
  std::jthread publishing([&] {
    auto next = SteadyClock::now();
    for (std::size_t i = 0; i < messages; ++i, next += pace) {
      std::this_thread::sleep_until(next);
      publisher.roundTrip(rawPost(path, timedMessage()));
    }
  });
  const auto end = SteadyClock::now() + pace * messages + std::chrono::seconds(20);
  while (result.millis.size() < result.expected && SteadyClock::now() < end) poll();
  ::close(epoll);
  return result;
}

double p99(std::vector<double> values) {
  if (values.empty()) throw std::runtime_error("no event came");
  std::sort(values.begin(), values.end());
  return values[values.size() * 99 / 100];
}

void hundredReaders() {
  const auto ours = ourStreamServer(false);
  const auto peer = peerStreamServer(false);
  const auto measure = [](int port) {
    const Fanout fanout = fanOut(port, 100, 200, std::chrono::milliseconds(10));
    if (fanout.millis.size() != fanout.expected) throw std::runtime_error("events are missing");
    return p99(fanout.millis);
  };
  const Pair pair = measurePair(
      5, [&] { return measure(ours->port); }, [&] { return measure(peer->port); });
  report({.name = "ds_sse",
          .value = pair.ours,
          .unit = "ms p99",
          .limit = pair.limit,
          .better = Better::lower,
          .bar = 1.0 / 3});
}

void twoThousandReaders() {
  const auto ours = ourStreamServer(false);
  const Fanout fanout = fanOut(ours->port, 2'000, 200, std::chrono::milliseconds(50));
  reportFigure("ds_sse_2000_p50", median(fanout.millis), "ms");
  reportFigure("ds_sse_2000_p99", p99(fanout.millis), "ms");
  const auto lost = static_cast<double>(fanout.expected - fanout.millis.size());
  report({.name = "ds_sse_2000",
          .value = lost,
          .unit = "events lost",
          .limit = static_cast<double>(fanout.expected),
          .better = Better::lower,
          .bar = 0});
}

const Registration kHundred("ds_sse", "append to event at 100 readers, p99, beside the reference server",
                            hundredReaders);
const Registration kTwoThousand("ds_sse_2000", "2,000 readers of 20 messages a second: latency, and nothing lost",
                                twoThousandReaders);

}  // namespace
}  // namespace tidegate::bench
