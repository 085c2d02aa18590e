/// Part of sink_contract.h: random histories against a model. TIDEGATE_SEED=n runs exactly that seed.
#pragma once

#include <map>
#include <random>
#include <set>

#include "contract/sink_rig.h"
#include "support/property.h"

namespace tidegate::contract {

/// What a table must hold, by the words of `Sink` alone. Copied at each commit, brought back at each crash.
struct SinkModel {
  using Rows = std::map<std::pair<std::int64_t, std::string>, Values>;
  struct Table {
    Rows rows;
    bool baseline = false;
    std::set<Rows::key_type> named;
  };
  std::vector<Table> tables;

  static Rows::key_type keyOf(const Values& row) { return {row[0].as<std::int64_t>(), row[1].as<std::string>()}; }

  void write(Table& t, const Values& row, const std::vector<std::uint32_t>& unchanged = {}) {
    const auto key = keyOf(row);
    t.named.insert(key);
    const auto at = t.rows.find(key);
    if (at == t.rows.end()) {
      if (unchanged.empty()) t.rows.emplace(key, row);
      return;
    }
    Values next = row;
    for (const std::uint32_t i : unchanged) next[i] = at->second[i];
    at->second = std::move(next);
  }
  void end(Table& t) {
    std::erase_if(t.rows, [&](const auto& row) { return !t.named.contains(row.first); });
    t.baseline = false;
  }
};

/// Makes one history and checks the target at every commit and crash.
class SinkHistory {
 public:
  explicit SinkHistory(std::uint64_t seed) : random_(seed * 0x9E3779B97F4A7C15u + 1) {}

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  Values row() {
    static const char* const kNames[] = {"a", "A", "", "b'"};
    Value text, number;
    if (!chance(20)) text = std::string(below(40), static_cast<char>('a' + below(26)));
    if (!chance(20)) number = static_cast<std::int64_t>(random_());
    return {static_cast<std::int64_t>(below(12)), kNames[below(4)], text, number};
  }
  std::vector<std::uint32_t> unchanged() {
    if (chance(60)) return {};
    if (chance(30)) return {2, 3};
    return {static_cast<std::uint32_t>(2 + below(2))};
  }

 private:
  std::mt19937_64 random_;
};

class SinkHistories : public SinkContract {
 protected:
  void step(SinkHistory& history) {
    const std::size_t which = history.below(tables.size());
    const Shape& t = tables[which];
    SinkModel::Table& model = now.tables[which];
    Values row = history.row();
    switch (const auto kind = history.below(100); kind < 35 ? 0 : kind < 60 ? 1 : kind < 80 ? 2 : kind < 93 ? 3 : 4) {
      case 0:
        model.baseline ? read(t, row) : insert(t, row);
        return now.write(model, row);
      case 1: {
        const auto unchanged = history.unchanged();
        for (const std::uint32_t i : unchanged) row[i] = nullptr;
        update(t, row, unchanged);
        return now.write(model, row, unchanged);
      }
      case 2:
        erase(t, {row[t->key[0]], row[t->key[1]]});
        model.rows.erase(SinkModel::keyOf(row));
        return;
      case 3:
        return baseline(history, t, model);
      default:
        truncate(t);
        model.rows.clear();
        model.named.clear();
    }
  }

  void baseline(SinkHistory& history, const Shape& t, SinkModel::Table& model) {
    if (model.baseline && history.chance(80)) {
      baselineEnd(t);
      now.end(model);
    } else {
      baselineBegin(t);
      model.baseline = true;
      model.named.clear();
    }
  }

  void check() {
    for (std::size_t i = 0; i < tables.size(); ++i) {
      std::vector<Values> expected;
      for (const auto& [key, row] : durable.tables[i].rows) expected.push_back(row);
      expectRows(tables[i], expected);
    }
  }

  /// A border of some kind: nothing, the rest of a batch, a commit, a rollback, a crash.
  void border(SinkHistory& history, int number) {
    const auto kind = history.below(100);
    if (kind < 70) return;
    if (kind < 82) return flush();
    if (kind < 93) {
      checkpoint = std::to_string(number);
      commit(*checkpoint);
      durable = now;
      return check();
    }
    if (kind < 96) {
      sink->rollback();
      batch.clear();
      now = durable;
      return;
    }
    if (history.chance(50)) flush();
    EXPECT_EQ(crashAndOpen(), checkpoint);
    now = durable;
    check();
    for (const Shape& t : tables) prepare(t);
  }

  void run(std::uint64_t seed, int steps) {
    SinkHistory history(seed);
    sink.reset();
    target.reset();  // there may be room for one only
    target = GetParam().make();
    checkpoint.reset();
    crashAndOpen();
    for (const Shape& t : tables) prepare(t);
    commit("made");
    checkpoint = "made";
    now = durable = SinkModel{.tables = std::vector<SinkModel::Table>(tables.size())};
    for (int i = 0; i < steps && !HasFailure(); ++i) {
      step(history);
      border(history, i);
    }
    sink->close();
  }

  static Shape historyTable(const std::string& name, const std::vector<std::string>& order) {
    std::vector<ColumnSchema> columns = {column("id", ValueKind::int64, false), column("name", ValueKind::text, false),
                                         column("text", ValueKind::text), column("number", ValueKind::int64)};
    return shapeOf(name, columns, order);
  }

  std::vector<Shape> tables = {historyTable("first", {"id", "name"}), historyTable("second", {"name", "id"})};
  SinkModel now, durable;
  std::optional<std::string> checkpoint;
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SinkHistories);

TEST_P(SinkHistories, AnyHistoryWithCrashesEndsAsTheModelSays) {
  test::forEachSeed(can.seeds, [&](std::uint64_t seed) { run(seed, 120); });
}

}  // namespace tidegate::contract

/// Both suites of a sink: changes and the like, and random histories.
#define TIDEGATE_SINK_CONTRACT(prefix, sinkCase)                                                                   \
  INSTANTIATE_TEST_SUITE_P(prefix, SinkContract, ::testing::Values(sinkCase), ::tidegate::contract::sinkCaseName); \
  INSTANTIATE_TEST_SUITE_P(prefix, SinkHistories, ::testing::Values(sinkCase), ::tidegate::contract::sinkCaseName)
