// Law 5.3 over many seeds: transactions that stay open far longer than the look-back, stamp their rows with their start
// and commit late and out of order lose nothing to a poller with a commit horizon. The source is SQLite, which takes
// both dialects' SQL; the question after open transactions is answered from the model.
#include <algorithm>

#include "source/source_rig.h"
#include "support/property.h"

namespace tidegate::test {
namespace {

using std::chrono::milliseconds;

enum class Stamp { isoText, utc, local };

/// A server with long transactions. `committed` is the model of its table.
class LongTransactions {
 public:
  struct Row {
    std::int64_t value = 0, stamp = 0;  ///< the stamp: micros, by the server's clock
  };

  LongTransactions(Random& random, ManualClock& clock, Stamp stamp) : random_(random), clock_(clock), stamp_(stamp) {
    source_.run(stamp == Stamp::isoText ? "CREATE TABLE t (id INTEGER PRIMARY KEY, v, c TEXT)"
                                        : "CREATE TABLE t (id INTEGER PRIMARY KEY, v, c INTEGER)");
  }

  void step() {
    clock_.advance(milliseconds(random_.between(0, 1'200)));
    if (open_.size() < 4 && random_.chance(50)) open_.push_back({.start = now()});
    for (Transaction& t : open_) {
      if (random_.chance(50)) write(t);
    }
    if (random_.chance(60)) {  // a short one: it takes the newest cursor far past the open ones
      Transaction brief{.start = now()};
      write(brief);
      commit(brief);
    }
    // Few commit at a time, and any of them, so that most stay open over several polls.
    if (!open_.empty() && random_.chance(20)) end(random_.index(open_.size()));
    if (!open_.empty() && dialect() == Dialect::postgres && random_.chance(10))
      open_[random_.index(open_.size())].prepared = true;
  }
  void quiet() {
    while (!open_.empty()) end(random_.index(open_.size()));
    clock_.advance(std::chrono::seconds(1));
  }

  Dialect dialect() const { return dialect_; }
  void speak(Dialect dialect) { dialect_ = dialect; }
  Value cursorOf(std::int64_t stamp) const {
    if (stamp_ == Stamp::utc) return Timestamp::utc(stamp);
    if (stamp_ == Stamp::local) return Timestamp::local(stamp + kZone);
    return toIso(Timestamp::local(stamp)).substr(0, 19) + fmt::format(".{:03}Z", stamp / 1'000 % 1'000);
  }

  /// Answers as a server would.
  ResultSet answer(Query q) {
    if (q.sql.find("age_micros") != std::string::npos) return horizon();
    for (Value& v : q.params) {
      if (const auto* t = v.getIf<Timestamp>()) v = t->micros;
    }
    ResultSet found = source_.query(q);
    const Columns columns = found.columns();
    const std::size_t cursor = columns->size() - 1;  // of a row, or alone
    Rows rows;
    std::vector<Value> row;
    while (found.next(row)) {
      const auto* micros = row[cursor].getIf<std::int64_t>();
      if (micros != nullptr) row[cursor] = Timestamp{*micros, stamp_ == Stamp::utc};
      rows.push_back(row);
    }
    return ResultSet::fromRows(columns, std::move(rows));
  }

  std::map<std::int64_t, Row> committed;

 private:
  static constexpr std::int64_t kZone = -7 * 3'600'000'000LL;  ///< the writers' wall clocks, far from the server's UTC
  struct Transaction {
    std::int64_t start = 0;
    bool prepared = false;
    std::map<std::int64_t, Row> rows{};
  };

  std::int64_t now() const { return clock_.wallNow().count(); }

  void write(Transaction& t) {
    const std::int64_t id = random_.between(1, 30);
    for (const Transaction& other : open_) {
      if (&other != &t && other.rows.count(id) > 0) return;  // the database locks the row
    }
    if (!t.prepared) t.rows[id] = {.value = ++values_, .stamp = t.start};
  }
  void end(std::size_t at) {
    const Transaction t = open_[at];
    open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(at));
    commit(t);
  }
  void commit(const Transaction& t) {
    for (const auto& [id, row] : t.rows) {
      Value cursor = cursorOf(row.stamp);
      if (const auto* time = cursor.getIf<Timestamp>()) cursor = time->micros;
      source_.run("INSERT INTO t VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET v=excluded.v, c=excluded.c",
                  {id, row.value, cursor});
      committed[id] = row;
    }
  }

  ResultSet horizon() const {
    std::int64_t oldest = now(), prepared = 0;
    for (const Transaction& t : open_) {
      prepared += t.prepared;
      if (!t.prepared) oldest = std::min(oldest, t.start);  // a prepared one has left the list of sessions
    }
    return resultOf({"now_micros", "age_micros", "hidden", "prepared"}, {{now(), now() - oldest, 0, prepared}});
  }

  Random& random_;
  ManualClock& clock_;
  const Stamp stamp_;
  Dialect dialect_ = Dialect::mysql;
  SqlSource source_;
  std::vector<Transaction> open_;
  std::int64_t values_ = 0;
};

/// How many rows of the source the gateway lacks or holds otherwise.
std::size_t missed(const LongTransactions& server, const std::map<std::string, MapGateway::Row>& gateway) {
  std::size_t count = 0;
  for (const auto& [id, row] : server.committed) {
    const auto at = gateway.find(std::to_string(id));
    count += at == gateway.end() || !(at->second.at("v") == Value(row.value)) ||
             !(at->second.at("c") == server.cursorOf(row.stamp));
  }
  return count + (gateway.size() > server.committed.size() ? gateway.size() - server.committed.size() : 0);
}

/// @return how many rows the gateway has wrong once the source is quiet.
std::size_t missedBySeed(std::uint64_t seed, Stamp stamp, bool commitHorizon) {
  Random random(seed);
  const Dialect dialect = random.chance(50) ? Dialect::mysql : Dialect::postgres;
  LongTransactions* server = nullptr;
  bool busy = true;
  const QueryFn query(dialect, [&](const Query& q) {
    if (busy && random.chance(25)) server->step();  // writers go on between the statements of one poll
    if (busy && random.chance(3)) throw Error(ErrorCode::connectionFailed, Retry::later, "no answer");
    return server->answer(q);
  });
  PollRig rig(query, {.table = "t",
                      .query = "SELECT * FROM t",
                      .strategy = CursorStrategy{.cursorColumn = "c",
                                                 .lookback = milliseconds(random.between(0, 400)),
                                                 .commitHorizon = commitHorizon,
                                                 .pageRows = static_cast<std::size_t>(random.between(2, 9))}});
  rig.config.pushDeltas = static_cast<std::size_t>(random.between(1, 9));
  rig.gateway.judge = [&](const SyncPush&) {
    return busy && random.chance(8) ? PushStatus::backPressure : PushStatus::accepted;
  };
  LongTransactions transactions(random, rig.clock, stamp);
  transactions.speak(dialect);
  server = &transactions;
  for (int poll = 0; poll < 12; ++poll) {
    transactions.step();
    rig.poll();
    if (random.chance(10)) rig.restart();
  }
  busy = false;
  transactions.quiet();
  rig.pollWell();
  const TableReport last = rig.pollWell();
  EXPECT_EQ(last.inserts, 0u) << "a quiet poll pushed rows again";
  return missed(transactions, rig.rows());
}

void expectNothingMissed(Stamp stamp) {
  forEachSeed(1'000, [&](std::uint64_t seed) { EXPECT_EQ(missedBySeed(seed, stamp, true), 0u); });
}

TEST(HorizonLaws, TextTimesLoseNothingHoweverLongTransactionsStayOpen) { expectNothingMissed(Stamp::isoText); }

TEST(HorizonLaws, TimestampsWithZoneLoseNothingHoweverLongTransactionsStayOpen) { expectNothingMissed(Stamp::utc); }

TEST(HorizonLaws, TimestampsOfAForeignZoneLoseNothingHoweverLongTransactionsStayOpen) {
  expectNothingMissed(Stamp::local);
}

TEST(HorizonLaws, WithoutTheHorizonTheSameTransactionsLoseRows) {
  std::size_t seedsWithLoss = 0;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) seedsWithLoss += missedBySeed(seed, Stamp::utc, false) > 0;
  EXPECT_GT(seedsWithLoss, 10u) << "the transactions are too short for the laws above to show anything";
}

}  // namespace
}  // namespace tidegate::test
