#include "demo.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "tidegate/durable_streams/client.h"
#include "tidegate/durable_streams/state_protocol.h"
#include "tidegate/postgres/query_fn.h"

using namespace tidegate;
using namespace std::chrono_literals;

namespace {

constexpr int kRows = 50;
constexpr int kMessages = 50;
constexpr auto kPatience = 60s;

/// What the stream of items comes to.
std::map<std::string, std::string> itemsOf(durable_streams::DurableStreamClient& client, std::size_t& messages) {
  std::map<std::string, std::string> items;
  client.stream(kItemsStream).read({}, [&](durable_streams::Chunk&& chunk) {
    for (const std::string_view text : chunk.messages()) {
      const auto message = durable_streams::parseStateMessage(text);
      const auto* change = std::get_if<durable_streams::ChangeMessage>(&message);
      if (change == nullptr) continue;
      ++messages;
      if (change->operation == durable_streams::StateOperation::erase)
        items.erase(change->key);
      else
        items[change->key] = change->value;
    }
    return true;
  });
  return items;
}

std::int64_t number(const QueryFn& ask, const std::string& sql) {
  ResultSet rows = ask({.sql = sql});
  std::vector<Value> row;
  return rows.next(row) && !row[0].isNull() ? row[0].as<std::int64_t>() : 0;
}

template <class Holds>
bool within(Holds&& holds) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(20ms);
  }
  return true;
}

bool checkItems(const QueryFn& ask, durable_streams::DurableStreamClient& client, const std::string& mark) {
  for (int i = 0; i < kRows; ++i) {
    ask({.sql = "INSERT INTO items (title, body) VALUES ($1, 'from SQL')", .params = {fmt::format("{} {}", mark, i)}});
  }
  ask({.sql = "UPDATE items SET body = 'changed' WHERE title = $1", .params = {mark + " 1"}});
  ask({.sql = "DELETE FROM items WHERE title = $1", .params = {mark + " 2"}});
  const std::int64_t rows = number(ask, "SELECT count(*) FROM items");
  std::size_t messages = 0;
  const bool same = within([&] {
    messages = 0;
    const auto items = itemsOf(client, messages);
    const auto changed = [&](const auto& item) { return item.second.find("\"changed\"") != std::string::npos; };
    return static_cast<std::int64_t>(items.size()) == rows && std::any_of(items.begin(), items.end(), changed);
  });
  fmt::print("items: {} rows in Postgres, the same in the stream: {} ({} messages)\n", rows, same ? "yes" : "NO",
             messages);
  return same;
}

bool checkEvents(const QueryFn& ask, durable_streams::DurableStreamClient& client, const std::string& mark) {
  for (int i = 0; i < kMessages; ++i) {
    client.stream(kEventsStream)
        .append(fmt::format(R"({{"key":"{0}-{1}","type":"message","operation":"insert","text":"hello {1}"}})", mark, i),
                {.contentType = "application/json"});
  }
  const std::string mine = fmt::format("FROM session_events WHERE event_key LIKE '{}-%'", mark);
  const bool all = within([&] { return number(ask, "SELECT count(*) " + mine) >= kMessages; });
  const std::int64_t count = number(ask, "SELECT count(*) " + mine);
  const std::int64_t distinct = number(ask, "SELECT count(DISTINCT event_key) " + mine);
  fmt::print("session_events: {} messages posted, {} rows, {} different\n", kMessages, count, distinct);
  return all && count == kMessages && distinct == kMessages;
}

}  // namespace

bool runDemo(const SyncSettings& settings, const std::string& streamUrl) {
  const QueryFn ask = postgres::queryFn({.url = settings.postgresUrl, .readOnly = false});
  durable_streams::DurableStreamClient client({.url = streamUrl});
  const std::string mark =
      fmt::format("demo{}", std::chrono::system_clock::now().time_since_epoch() / std::chrono::milliseconds(1));
  const bool items = checkItems(ask, client, mark);
  const bool events = checkEvents(ask, client, mark);
  fmt::print("{}\n", items && events ? "OK: both ways, each thing once" : "FAILED");
  return items && events;
}
