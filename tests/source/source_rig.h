/// What tests of polling share: a gateway that is a plain map, a recording observer, sources in SQLite and scripted
/// ones.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "source/detail/poll_runner.h"
#include "support/manual_clock.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::test {

/// Takes pushes into plain maps. It can refuse, or throw.
struct MapGateway {
  using Row = std::map<std::string, Value>;
  std::map<std::string, std::map<std::string, Row>> tables;
  std::vector<RowDelta> log;  ///< all deltas accepted, in order
  std::size_t pushes = 0, largestPush = 0;
  std::uint64_t changes = 0;  ///< deltas that changed the maps
  Hlc last;
  /// Asked before a push is taken: what to answer, or accepted. May throw.
  std::function<PushStatus(const SyncPush&)> judge = [](const SyncPush&) { return PushStatus::accepted; };

  PushResult take(const SyncPush& push, PushContext context) {
    EXPECT_TRUE(context.trusted && context.ingest);
    PushResult result;
    result.status = judge(push);
    if (result.status != PushStatus::accepted) {
      result.message = "the test says no";
      return result;
    }
    ++pushes;
    largestPush = std::max(largestPush, push.deltas.size());
    for (const RowDelta& delta : push.deltas) {
      EXPECT_LT(last, delta.hlc);
      EXPECT_EQ(delta.clientId, push.clientId);
      EXPECT_TRUE(delta.deltaId.isNull());
      last = delta.hlc;
      const bool changed = apply(delta);
      changes += changed;
      ++(changed ? result.applied : result.noEffect);
      result.verdicts.push_back({changed ? Verdict::applied : Verdict::noEffect, {}});
      log.push_back(delta);
    }
    return result;
  }

  bool apply(const RowDelta& delta) {
    auto& table = tables[delta.table];
    if (delta.op == DeltaOp::erase) return table.erase(delta.rowId) > 0;
    const bool fresh = table.find(delta.rowId) == table.end();
    Row& row = table[delta.rowId];
    bool changed = fresh;
    for (const ColumnValue& c : delta.columns) {
      const auto at = row.find(c.column);
      if (at != row.end() && at->second == c.value) continue;
      row[c.column] = c.value;
      changed = true;
    }
    return changed;
  }

  PushFunction function() {
    return [this](const SyncPush& push, PushContext context) { return take(push, context); };
  }
};

struct RecordingObserver final : PollObserver {
  std::vector<PollReport> reports;
  std::vector<std::string> warnings;
  std::vector<TableReport> progress;
  void onPoll(const std::string&, const PollReport& report) override { reports.push_back(report); }
  void onProgress(const std::string&, const TableReport& soFar) override { progress.push_back(soFar); }
  void onWarning(const std::string&, const std::string& message) override { warnings.push_back(message); }
};

/// SQLite in memory, asked and changed over one connection.
struct SqlSource {
  QueryFn query = sqlite::queryFn({.path = ":memory:", .readOnly = false});
  void run(const std::string& sql, std::vector<Value> params = {}) const {
    Query q;
    q.sql = sql;
    q.params = std::move(params);
    ResultSet rows = query(q);
    std::vector<Value> row;
    while (rows.next(row)) {
    }
  }
};

/// Records what it is asked and answers from a function.
struct ScriptedSource {
  Dialect dialect = Dialect::postgres;
  std::vector<Query> asked;
  std::function<ResultSet(const Query&)> answer;
  QueryFn query() {
    return QueryFn(dialect, [this](const Query& q) {
      asked.push_back(q);
      return answer(q);
    });
  }
};

using Rows = std::vector<std::vector<Value>>;
inline ResultSet resultOf(std::vector<std::string> columns, Rows rows) {
  return ResultSet::fromRows(makeColumns(std::move(columns)), std::move(rows));
}

/// One source's polling without threads, its stores kept over restarts.
struct PollRig {
  ManualClock clock;
  HlcClock stamps{clock};
  MapGateway gateway;
  std::shared_ptr<RecordingObserver> observer = std::make_shared<RecordingObserver>();
  std::shared_ptr<StateStore> state = std::make_shared<MemoryStateStore>();
  std::shared_ptr<SnapshotStore> snapshots = memorySnapshotStore();
  IngestSourceConfig config;
  std::unique_ptr<detail::PollRunner> runner;
  std::atomic<bool> paused{false}, silenced{false};

  explicit PollRig(IngestSourceConfig c) : config(std::move(c)) {}
  PollRig(QueryFn query, IngestTableConfig table)
      : config{.name = "shop", .query = std::move(query), .tables = {std::move(table)}} {}

  void restart() { runner.reset(); }
  PollReport poll(std::stop_token stop = {}) {
    if (!runner) {
      validate(config);
      runner = std::make_unique<detail::PollRunner>(detail::PollRunner::Options{.config = config,
                                                                                .stamps = stamps,
                                                                                .push = gateway.function(),
                                                                                .clock = clock,
                                                                                .state = state,
                                                                                .snapshots = snapshots,
                                                                                .observer = observer});
    }
    detail::PollGuard guard;
    return runner->poll({guard, std::move(stop), paused}, silenced);
  }
  /// Polls and expects no error; the only table's report.
  TableReport pollWell() {
    PollReport report = poll();
    EXPECT_EQ(report.tables.size(), 1u);
    if (report.tables.empty()) return {};
    EXPECT_FALSE(report.tables[0].error.has_value()) << report.tables[0].error->what();
    return report.tables[0];
  }
  /// Polls and expects an error; its text.
  std::string pollBadly() {
    PollReport report = poll();
    if (report.tables.size() != 1 || !report.tables[0].error) {
      ADD_FAILURE() << "the poll should have failed";
      return {};
    }
    return report.tables[0].error->what();
  }
  std::map<std::string, MapGateway::Row>& rows() { return gateway.tables[config.tables[0].table]; }
};

}  // namespace tidegate::test
