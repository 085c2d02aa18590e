#include "chaos/sync_layer/check.h"

#include <fmt/format.h>

#include <map>
#include <set>
#include <vector>

#include "servers/support.h"
#include "tidegate/durable_streams/client.h"
#include "tidegate/durable_streams/state_protocol.h"
#include "tidegate/postgres/query_fn.h"

namespace tidegate::chaos {
namespace {

namespace streams = durable_streams;

std::vector<std::string> messagesOf(const std::string& streamUrl, const char* path) {
  streams::DurableStreamClient client({.url = streamUrl});
  std::vector<std::string> all;
  client.stream(path).read({}, [&](streams::Chunk&& chunk) {
    for (const std::string_view message : chunk.messages()) all.emplace_back(message);
    return true;
  });
  return all;
}

servers::Rows rowsOf(const std::string& sql) {
  return servers::readAll(postgres::queryFn({.url = servers::environment("TIDEGATE_POSTGRES_URL"), .readOnly = false}),
                          sql);
}

const TableSchema& itemsColumns() {
  static const TableSchema schema{.table = "items",
                                  .columns = {{.name = "id", .kind = ValueKind::int64},
                                              {.name = "title", .kind = ValueKind::text},
                                              {.name = "body", .kind = ValueKind::text},
                                              {.name = "version", .kind = ValueKind::int64}},
                                  .primaryKey = {"id"}};
  return schema;
}

using Row = std::vector<Value>;

/// Applies one change to what is known of its row, and says what cannot be.
std::string applyItem(const streams::ChangeMessage& change, std::map<std::string, Row>& rows) {
  const auto at = rows.find(change.key);
  if (change.operation == streams::StateOperation::erase) {
    if (at == rows.end()) return "never: an erase of item " + change.key + ", which is not there";
    rows.erase(at);
    return "";
  }
  Row row;
  streams::rowFromJson(itemsColumns(), change.value, row);
  const bool insert = change.operation == streams::StateOperation::insert;
  if (insert != (at == rows.end())) {
    return fmt::format("never: an {} of item {}, which is {}", insert ? "insert" : "update", change.key,
                       insert ? "there" : "not there");
  }
  if (!insert && row[3].as<std::int64_t>() != at->second[3].as<std::int64_t>() + 1) {
    return fmt::format("never: item {} goes from version {} to {}", change.key, at->second[3].as<std::int64_t>(),
                       row[3].as<std::int64_t>());
  }
  rows[change.key] = std::move(row);
  return "";
}

std::string itemsDifference(const std::string& streamUrl) {
  std::map<std::string, Row> told;
  for (const std::string& text : messagesOf(streamUrl, "pg-items")) {
    const streams::StateMessage message = streams::parseStateMessage(text);
    const auto* change = std::get_if<streams::ChangeMessage>(&message);
    if (change == nullptr) continue;
    if (std::string wrong = applyItem(*change, told); !wrong.empty()) return wrong;
  }
  const servers::Rows there = rowsOf("SELECT id, title, body, version FROM items");
  if (there.size() != told.size()) {
    return fmt::format("items: {} rows in Postgres, {} in the stream", there.size(), told.size());
  }
  for (const Row& row : there) {
    const auto found = told.find(std::to_string(row[0].as<std::int64_t>()));
    if (found == told.end() || !(found->second == row)) {
      return fmt::format("item {} differs", row[0].as<std::int64_t>());
    }
  }
  return "";
}

std::string eventsDifference(const std::string& streamUrl) {
  const std::vector<std::string> messages = messagesOf(streamUrl, "session-events");
  const servers::Rows rows = rowsOf(
      "SELECT payload::text, event_key FROM session_events ORDER BY ds_offset = '-1' DESC, ds_offset COLLATE \"C\", "
      "ds_index");
  std::set<std::string> keys;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string key = rows[i][1].as<std::string>();
    if (!keys.insert(key).second) return "never: message " + key + " is twice in session_events";
    if (i >= messages.size()) return fmt::format("never: {} rows, {} messages", rows.size(), messages.size());
    if (!sameValue(Json{rows[i][0].as<std::string>()}, Json{messages[i]})) {
      return fmt::format("never: row {} of session_events is not message {} of the stream", i, i);
    }
  }
  if (rows.size() == messages.size()) return "";
  return fmt::format("session_events: {} rows, {} messages", rows.size(), messages.size());
}

}  // namespace

std::string differenceOf(const std::string& streamUrl) {
  try {
    std::string difference = itemsDifference(streamUrl);
    return difference.empty() ? eventsDifference(streamUrl) : difference;
  } catch (const Error& e) {
    return e.what();  // somebody is still starting
  }
}

std::string countsOf(const std::string& streamUrl) {
  return fmt::format("{} messages of items, {} session events, each in its place once",
                     messagesOf(streamUrl, "pg-items").size(), messagesOf(streamUrl, "session-events").size());
}

}  // namespace tidegate::chaos
