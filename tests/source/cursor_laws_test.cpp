// Laws 5.1, 5.2 and 5.6 of polling by cursor, over many seeds: whatever is refused, fails or is restarted on the way,
// once the source is quiet the gateway holds what the source holds, and reading again brings nothing.
#include <algorithm>
#include <optional>

#include "source/source_rig.h"
#include "support/property.h"

namespace tidegate::test {
namespace {

enum class Column { sqliteText, isoText, integer, digitsAsText };

/// The writers: they hold transactions open, commit them late and out of order, and write NULL cursors. The model of
/// the source is `committed`.
class Writers {
 public:
  struct Row {
    std::int64_t value = 0;
    Value cursor;
    bool operator==(const Row&) const = default;
  };
  static constexpr std::int64_t kLatest = 4'000;  ///< ms after its stamp that a transaction commits at the latest
  static constexpr std::size_t kLateRows = 5;     ///< rows that may be committed with a greater number meanwhile

  Writers(Random& random, ManualClock& clock, const SqlSource& source, Column column)
      : random_(random), clock_(clock), source_(source), column_(column) {
    source.run(column == Column::integer ? "CREATE TABLE t (id INTEGER PRIMARY KEY, v, c INTEGER)"
                                         : "CREATE TABLE t (id INTEGER PRIMARY KEY, v, c TEXT)");
  }

  void step() {
    pass(std::chrono::milliseconds(random_.between(0, 1'500)));
    for (std::uint64_t writes = random_.below(4); writes > 0; --writes) write();
    if (!open_.empty() && random_.chance(40)) commit(random_.index(open_.size()));
  }
  void quiet() {
    while (!open_.empty()) commit(0);
    pass(std::chrono::seconds(20));
  }
  const std::map<std::int64_t, Row>& committed() const { return committed_; }

 private:
  struct Open {
    std::int64_t id;
    Row row;
    std::int64_t stamp;
    std::size_t newer = 0;  ///< commits with a greater stamp meanwhile
  };

  std::int64_t nowMs() const { return clock_.wallNow().count() / 1'000; }
  void pass(std::chrono::milliseconds time) {
    for (std::size_t i = 0; i < open_.size();) {
      if (!counted() && nowMs() + time.count() > open_[i].stamp + kLatest)
        commit(i);
      else
        ++i;
    }
    clock_.advance(time);
  }
  bool counted() const { return column_ == Column::integer || column_ == Column::digitsAsText; }

  Value cursorNow(std::int64_t& stamp) {
    stamp = counted() ? ++number_ : nowMs();
    const Timestamp now = Timestamp::local(stamp * 1'000);
    switch (column_) {
      case Column::integer:
        return stamp;
      case Column::digitsAsText:
        return fmt::format("{:06}", stamp);
      case Column::sqliteText: {
        std::string text = toIso(Timestamp::local(stamp / 1'000 * 1'000'000));
        text[10] = ' ';
        return text;
      }
      case Column::isoText:
        break;
    }
    std::string text = toIso(now).substr(0, 19);
    return text + fmt::format(".{:03}Z", stamp % 1'000);
  }

  void write() {
    const std::int64_t id = random_.between(1, 25);
    const bool held = std::any_of(open_.begin(), open_.end(), [&](const Open& o) { return o.id == id; });
    if (held) return;  // the database locks the row
    Open change{.id = id, .row = {.value = ++values_, .cursor = Null{}}, .stamp = 0};
    if (random_.chance(12)) {
      commitNow(change, false);
      return;
    }
    change.row.cursor = cursorNow(change.stamp);
    if (random_.chance(30))
      open_.push_back(std::move(change));
    else
      commitNow(change, true);
  }
  void commit(std::size_t at) {
    const Open change = open_[at];
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
    commitNow(change, true);
  }
  void commitNow(const Open& change, bool stamped) {
    if (counted() && stamped) {
      for (Open& o : open_) o.newer += o.stamp < change.stamp;
      const auto due = [](const Open& o) { return o.newer >= kLateRows; };
      for (;;) {
        const auto at = std::find_if(open_.begin(), open_.end(), due);
        if (at == open_.end()) break;
        commit(static_cast<std::size_t>(at - open_.begin()));
      }
    }
    source_.run("INSERT INTO t VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET v=excluded.v, c=excluded.c",
                {change.id, change.row.value, change.row.cursor});
    committed_[change.id] = change.row;
  }

  Random& random_;
  ManualClock& clock_;
  const SqlSource& source_;
  const Column column_;
  std::vector<Open> open_;
  std::map<std::int64_t, Row> committed_;
  std::int64_t values_ = 0, number_ = 0;
};

/// A stream that breaks after some rows.
class BreakingStream final : public RowStream {
 public:
  BreakingStream(ResultSet inner, std::uint64_t rows) : inner_(std::move(inner)), left_(rows) {}
  const Columns& columns() const override { return inner_.columns(); }
  bool next(std::vector<Value>& values) override {
    if (left_-- == 0) throw Error(ErrorCode::connectionFailed, Retry::later, "the connection broke");
    return inner_.next(values);
  }

 private:
  ResultSet inner_;
  std::uint64_t left_;
};

struct FailingState final : StateStore {
  MemoryStateStore inner;
  std::function<bool()> fails = [] { return false; };
  std::optional<std::string> get(std::string_view key) override { return inner.get(key); }
  void put(std::string_view key, std::string_view octets) override {
    if (fails()) throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full");
    inner.put(key, octets);
  }
  void remove(std::string_view key) override { inner.remove(key); }
};

void expectEqual(const std::map<std::int64_t, Writers::Row>& source,
                 const std::map<std::string, MapGateway::Row>& gateway) {
  EXPECT_EQ(source.size(), gateway.size());
  for (const auto& [id, row] : source) {
    const auto at = gateway.find(std::to_string(id));
    ASSERT_NE(at, gateway.end()) << "row " << id << " never came";
    EXPECT_TRUE(at->second.at("v") == Value(row.value)) << "row " << id;
    EXPECT_TRUE(at->second.at("c") == row.cursor) << "row " << id;
  }
}

/// All rows of an answer, as they are at this moment.
ResultSet copyOf(ResultSet answer) {
  Rows rows;
  std::vector<Value> row;
  while (answer.next(row)) rows.push_back(row);
  return ResultSet::fromRows(answer.columns(), std::move(rows));
}

void runSeed(std::uint64_t seed, Column column) {
  Random random(seed);
  SqlSource source;
  bool faults = true;
  const bool streamed = random.chance(50);
  Writers* writers = nullptr;
  const auto answer = [&](const Query& q) {
    // Writers go on between the pages of one poll.
    if (writers != nullptr && faults && random.chance(30)) writers->step();
    if (faults && random.chance(4)) throw std::runtime_error("no answer");
    ResultSet rows = copyOf(source.query(q));
    if (!faults || !random.chance(6)) return rows;
    return ResultSet(std::make_unique<BreakingStream>(std::move(rows), random.below(streamed ? 25 : 5)));
  };
  PollRig rig({Dialect::sqlite, answer, streamed ? Delivery::streamed : Delivery::buffered},
              {.table = "t",
               .query = "SELECT * FROM t;",
               .strategy = CursorStrategy{.cursorColumn = "c",
                                          .lookbackRows = Writers::kLateRows,
                                          .pageRows = static_cast<std::size_t>(random.between(1, 7))}});
  rig.config.pushDeltas = static_cast<std::size_t>(random.between(1, 7));
  rig.config.queryTimeout = std::chrono::milliseconds(random.between(1, 8'000));  // a stream is read for half of it
  auto state = std::make_shared<FailingState>();
  state->fails = [&] { return faults && random.chance(5); };
  rig.state = state;
  rig.gateway.judge = [&](const SyncPush&) {
    if (streamed && faults && random.chance(10)) writers->step();  // and while a stream is read
    if (!faults || !random.chance(12)) return PushStatus::accepted;
    if (random.chance(30)) throw Error(ErrorCode::storeUnavailable, Retry::later, "gateway down");
    return random.chance(50) ? PushStatus::backPressure : PushStatus::rejected;
  };
  Writers busy(random, rig.clock, source, column);
  writers = &busy;
  for (int poll = 0; poll < 12; ++poll) {
    busy.step();
    rig.poll();
    if (random.chance(15)) rig.restart();
    if (random.chance(3)) state->remove("poller/shop/t");
  }
  faults = false;
  busy.quiet();
  rig.pollWell();
  expectEqual(busy.committed(), rig.rows());
  const std::size_t known = rig.gateway.log.size();
  const TableReport again = rig.pollWell();
  EXPECT_EQ(again.inserts, 0u) << "a quiet poll pushed rows again";
  EXPECT_EQ(again.suppressed, again.rowsRead);
  // A restart without any state reads everything again, and that brings nothing new either.
  rig.restart();
  rig.state = std::make_shared<MemoryStateStore>();
  const std::uint64_t changes = rig.gateway.changes;
  rig.pollWell();
  EXPECT_EQ(rig.gateway.changes, changes);
  EXPECT_EQ(rig.gateway.log.size(), known + busy.committed().size());
  EXPECT_LE(rig.gateway.largestPush, rig.config.pushDeltas);
}

TEST(CursorLaws, SqliteTextTimesLoseNothingThatCommitsWithinTheLookback) {
  forEachSeed(1'000, [](std::uint64_t seed) { runSeed(seed, Column::sqliteText); });
}

TEST(CursorLaws, IsoTextTimesLoseNothingThatCommitsWithinTheLookback) {
  forEachSeed(1'000, [](std::uint64_t seed) { runSeed(seed, Column::isoText); });
}

TEST(CursorLaws, IntegersLoseNothingThatCommitsWithinTheLookbackRows) {
  forEachSeed(1'000, [](std::uint64_t seed) { runSeed(seed, Column::integer); });
}

TEST(CursorLaws, DigitsAsTextLoseNothingThatCommitsWithinTheLookbackRows) {
  forEachSeed(1'000, [](std::uint64_t seed) { runSeed(seed, Column::digitsAsText); });
}

}  // namespace
}  // namespace tidegate::test
