/// A table of a real server, polled into a real gateway.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "servers/servers.h"
#include "tidegate/gateway/gateway.h"
#include "tidegate/source/source_poller.h"

namespace tidegate::servers {

/// Keeps its warnings; a host would log them.
struct QuietObserver final : PollObserver {
  std::vector<std::string> warnings;
  void onWarning(const std::string&, const std::string& message) override { warnings.push_back(message); }
};

class Polling {
 public:
  Polling(const Server& server, IngestTableConfig table, const Access& access = {})
      : server_(server),
        table_(table),
        poller_(configOf(server, std::move(table), access), gateway, {.observer = observer}) {}

  /// One poll that must succeed.
  TableReport poll() {
    const PollReport report = poller_.pollOnce();
    if (report.tables.size() != 1) throw std::runtime_error("a poll of one table reported another number of tables");
    EXPECT_FALSE(report.tables[0].error.has_value()) << report.tables[0].error->what();
    return report.tables[0];
  }

  /// One poll that must fail.
  Error pollBadly() {
    const PollReport report = poller_.pollOnce();
    if (report.tables.size() != 1 || !report.tables[0].error) throw std::runtime_error("the poll should have failed");
    return *report.tables[0].error;
  }

  bool has(const std::string& rowId) const { return gateway.row(table_.table, rowId).has_value(); }

  /// Row by row and column by column, read over another connection.
  void expectEqualToSource() {
    ResultSet rows = server_.writer()(Query{.sql = table_.query});
    const ColumnList& columns = *rows.columns();
    std::size_t count = 0;
    std::vector<Value> row;
    for (; rows.next(row); ++count) {
      std::vector<Value> key;
      for (const std::string& name : table_.rowIdColumns) key.push_back(row.at(columns.find(name).value()));
      const auto held = gateway.row(table_.table, rowIdOf(key));
      ASSERT_TRUE(held.has_value()) << "row " << rowIdOf(key) << " is missing";
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (std::find(table_.rowIdColumns.begin(), table_.rowIdColumns.end(), columns[i]) != table_.rowIdColumns.end())
          continue;
        const Value* value = held->find(columns[i]);
        // A column that was null ever since is absent.
        EXPECT_TRUE(value != nullptr ? sameValue(*value, row[i]) : row[i].isNull())
            << "row " << rowIdOf(key) << ", column " << columns[i] << " is " << (value ? describe(*value) : "absent")
            << ", at the source " << describe(row[i]);
      }
    }
    EXPECT_EQ(gateway.stats().rows, count);
  }

  Gateway gateway;
  std::shared_ptr<QuietObserver> observer = std::make_shared<QuietObserver>();

 private:
  static IngestSourceConfig configOf(const Server& server, IngestTableConfig table, const Access& access) {
    IngestSourceConfig config;
    config.name = "source";
    config.query = server.connect(access);
    config.tables.push_back(std::move(table));
    return config;
  }

  Server server_;
  IngestTableConfig table_;
  SourcePoller poller_;
};

}  // namespace tidegate::servers
