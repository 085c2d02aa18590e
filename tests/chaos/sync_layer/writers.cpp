#include "chaos/sync_layer/writers.h"

#include <fmt/format.h>

#include "servers/support.h"
#include "support/property.h"
#include "tidegate/durable_streams/client.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::chaos {
namespace {

using tidegate::test::Random;
using namespace std::chrono_literals;

QueryFn database() {
  return postgres::queryFn({.url = servers::environment("TIDEGATE_POSTGRES_URL"), .readOnly = false});
}

constexpr std::int64_t kIds = 200;

/// One statement, one transaction. Several rows in some.
std::string change(Random& random) {
  const std::int64_t id = random.between(1, kIds);
  switch (random.below(5)) {
    case 0:
      return fmt::format("DELETE FROM items WHERE id = {}", id);
    case 1:
      return fmt::format("UPDATE items SET version = version + 1 WHERE id BETWEEN {} AND {}", id, id + 10);
    case 2:
      return fmt::format(
          "INSERT INTO items (id, title) SELECT i, 'many' FROM generate_series({}, {}) i "
          "ON CONFLICT (id) DO UPDATE SET version = items.version + 1",
          id, id + random.between(1, 40));
    default:
      return fmt::format(
          "INSERT INTO items (id, title, body) VALUES ({0}, 'item {0}', repeat('x', {1})) "
          "ON CONFLICT (id) DO UPDATE SET version = items.version + 1, body = EXCLUDED.body",
          id, random.below(6'000));
  }
}

}  // namespace

void prepareItems() {
  servers::execute(database(), {"DROP TABLE IF EXISTS items, session_events",
                                "CREATE TABLE items (id bigint PRIMARY KEY, title text NOT NULL, body text, created_at "
                                "timestamptz DEFAULT now(), version bigint NOT NULL DEFAULT 1)",
                                "ALTER TABLE items REPLICA IDENTITY FULL"});
}

void SyncWriters::start() {
  items_ = std::jthread([this](const std::stop_token& stop) { writeItems(stop); });
  events_ = std::jthread([this](const std::stop_token& stop) { postEvents(stop); });
}

void SyncWriters::stop() {
  items_.request_stop();
  events_.request_stop();
  if (items_.joinable()) items_.join();
  if (events_.joinable()) events_.join();
}

void SyncWriters::writeItems(const std::stop_token& stop) {
  Random random(seed_);
  QueryFn ask = database();
  while (!stop.stop_requested()) {
    try {
      ask({.sql = change(random)});
      ++commits_;
    } catch (const Error&) {
      ask = database();  // the server is away; what it had committed is read in the end
      std::this_thread::sleep_for(20ms);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(3'000)));
  }
}

/// Each message is stamped, so that repeating it until it is answered appends it once.
void SyncWriters::postEvents(const std::stop_token& stop) {
  Random random(seed_ + 1'000'000);
  durable_streams::DurableStreamClient client({.url = streamUrl_, .retry = {.maxRetries = 0}});
  durable_streams::DurableStream stream = client.stream("session-events");
  const std::string writer = fmt::format("writer-{}", seed_);
  for (std::uint64_t n = 0; !stop.stop_requested(); ++n) {
    const std::string message = fmt::format(R"({{"key":"{}-{}","type":"message","operation":"insert","text":"{}"}})",
                                            writer, n, std::string(random.below(200), 'y'));
    for (;;) {
      try {
        stream.append(message, {.contentType = "application/json", .stamp = durable_streams::WriteStamp{writer, 0, n}});
        ++posts_;
        break;
      } catch (const Error&) {
        std::this_thread::sleep_for(20ms);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(3'000)));
  }
}

}  // namespace tidegate::chaos
