/// Random histories for the source: a server, what it holds, and what is done to it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "electric/source_server.h"
#include "support/property.h"
#include "tidegate/electric/source.h"

namespace tidegate::electric::test {

using tidegate::test::Random;

inline ServedTable worldTable(const std::string& name) {
  return {.name = name,
          .schema = R"({"id":{"type":"int8","pk_index":0,"not_null":true},"label":{"type":"text"},)"
                    R"("amount":{"type":"numeric"},"even":{"type":"bool"}})",
          .key = {"id"}};
}

/// id -> (label, amount) of a table; the text of null is "-".
using Seen = std::map<std::int64_t, std::pair<std::string, std::string>>;

/// Three tables, one of them behind a condition.
class World {
 public:
  static constexpr std::size_t kTables = 3;

  World(std::uint64_t seed, FakeOptions options)
      : random(seed), server({worldTable("a"), worldTable("b"), worldTable("c")}, options) {
    server.addCondition("even = true", [](const TextRow& row) { return row.at("even") == "true"; });
  }

  SourceOptions sourceOptions() {
    SourceOptions options{.url = server.url(),
                          .shapes = {{.table = "a"},
                                     {.table = "b", .replica = ReplicaMode::full},
                                     {.table = "c", .where = "even = true"}},
                          .mergeWait = std::chrono::milliseconds(500),
                          .backoff = {.firstDelay = std::chrono::milliseconds(1),
                                      .maxDelay = std::chrono::milliseconds(20),
                                      .maxRetries = UINT32_MAX}};
    options.live = random.chance(50) ? LiveMode::events : LiveMode::longPoll;
    options.order = random.chance(70) ? MergeOrder::commit : MergeOrder::arrival;
    options.batchEvents = 1 + random.index(20);
    options.bufferBytes = random.chance(30) ? 2'000 : 1u << 20;
    return options;
  }
  /// Another program writes, or the server or the network does something bad.
  void step() {
    if (random.chance(4)) return server.rotate(pickTable());
    if (random.chance(2)) return server.truncate(pickTable());
    if (random.chance(6)) return void(server.cut());
    std::vector<TableChange> changes;
    for (std::uint64_t i = 1 + random.below(5); i > 0; --i) add(changes);
    if (!changes.empty()) server.commit(changes);
  }
  Seen expected(const std::string& table) const {
    Seen seen;
    for (const auto& [key, row] : server.rows(table)) {
      if (table == "c" && row.at("even") != "true") continue;
      seen[std::stoll(*row.at("id"))] = {*row.at("label"), row.at("amount").value_or("-")};
    }
    return seen;
  }
  std::string pickTable() { return std::string(1, static_cast<char>('a' + random.index(kTables))); }

  Random random;
  FakeElectric server;

 private:
  void add(std::vector<TableChange>& changes) {
    const std::string table = pickTable();
    const std::string id = std::to_string(random.below(25));
    // One change of a row in a transaction: what is there is asked of the server.
    for (const TableChange& change : changes) {
      if (change.table == table) return;
    }
    const auto rows = server.rows(table);
    std::optional<TextRow> old;
    for (const auto& [key, row] : rows) {
      if (row.at("id") == id) old = row;
    }
    ++fresh_;
    TextRow row{{"id", id},
                {"label", "label " + std::to_string(fresh_) + " ä\"\\\n"},
                {"amount", std::to_string(fresh_) + ".50"},
                {"even", random.chance(70) ? "true" : "false"}};
    if (random.chance(20)) row["amount"] = std::nullopt;
    if (!old) return changes.push_back({.op = TableChange::Op::insert, .table = table, .row = row});
    if (random.chance(30)) return changes.push_back({.op = TableChange::Op::erase, .table = table, .row = *old});
    if (random.chance(50)) row["label"] = old->at("label");
    TableChange update{.op = TableChange::Op::update, .table = table, .row = row};
    const std::string other = std::to_string(100 + fresh_);
    if (random.chance(15)) {  // its key changes
      update.before = *old;
      update.row["id"] = other;
    }
    changes.push_back(update);
  }

  int fresh_ = 0;
};

}  // namespace tidegate::electric::test
