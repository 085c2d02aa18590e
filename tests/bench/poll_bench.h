/// Polling a table of 1,000,000 users, whatever database holds it.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>

#include "bench/harness.h"
#include "tidegate/core/query.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/source/source_poller.h"

namespace tidegate::bench {

inline constexpr std::uint64_t kPolledRows = 1'000'000;

/// Runs statements that give no rows.
inline void execute(const QueryFn& query, const std::vector<std::string>& statements) {
  std::vector<Value> row;
  for (const std::string& sql : statements) {
    ResultSet result = query({.sql = sql});
    while (result.next(row)) {
    }
  }
}

/// The limit: the same driver reads the same rows, and nothing is done with them.
inline double readOnly(const QueryFn& query, const std::string& sql) {
  std::uint64_t rows = 0;
  const double seconds = secondsOf([&] {
    ResultSet result = query({.sql = sql, .wholeResult = true});
    std::vector<Value> row;
    while (result.next(row)) ++rows;
  });
  if (rows != kPolledRows) throw std::runtime_error("the benchmark's table has another number of rows");
  return seconds;
}

inline IngestSourceConfig usersSource(const QueryFn& query, std::variant<CursorStrategy, DiffStrategy> strategy) {
  IngestSourceConfig source;
  source.name = "bench";
  source.query = query;
  source.tables = {{.table = "users", .query = "SELECT id, name, email, score, updated_at FROM users"}};
  source.tables[0].strategy = std::move(strategy);
  return source;
}

/// Polls once; @throws if a table failed or fewer rows were read than are there.
inline void pollAllRows(SourcePoller& poller) {
  const PollReport polled = poller.pollOnce();
  const TableReport& table = polled.tables.at(0);
  if (table.error) throw std::runtime_error(table.error->what());
  if (table.rowsRead < kPolledRows) throw std::runtime_error("the benchmark's poll read too few rows");
}

/// `cursor_poll_<database>`: a first poll of all rows into a fresh gateway / the driver reading the same rows in the
/// same order. The unordered scan is printed beside it.
inline void cursorPollBench(const std::string& name, const QueryFn& query) {
  const std::string scan = "SELECT id, name, email, score, updated_at FROM users";
  const auto ours = [&] {
    GatewayOptions options;
    options.retention.maxLogBytes = 0;
    Gateway gateway(options);
    SourcePoller poller(usersSource(query, CursorStrategy{.cursorColumn = "updated_at"}), gateway);
    return secondsOf([&] { pollAllRows(poller); });
  };
  const Pair pair = measurePair(5, ours, [&] { return readOnly(query, scan + " ORDER BY updated_at, id"); });
  report({name, pair.ours / kPolledRows * 1e9, "ns/row", pair.limit / kPolledRows * 1e9, Better::lower, 2.5});
  const Pair unordered = measurePair(5, ours, [&] { return readOnly(query, scan); });
  reportFigure(name + "_to_unordered_scan", unordered.ours / unordered.limit, "ratio");
}

}  // namespace tidegate::bench
