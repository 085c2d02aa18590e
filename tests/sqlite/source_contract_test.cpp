#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <thread>

#include "contract/sync_source_contract.h"
#include "sqlite/temp_database.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::contract {
namespace {

using namespace std::chrono_literals;
using sqlite::SourceOptions;

std::string quotedText(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
  return out + "'";
}

/// A file with the suite's two tables. `commit` is another program: a plain connection that knows nothing of the
/// source, but for the border that it writes where it wants its transactions told apart.
class SqliteDatabase final : public SourceDatabase {
 public:
  struct Kind {
    const char* journal = "WAL";
    bool borders = false;
  };
  SqliteDatabase(Kind kind, SourceOptions options)
      : kind_(kind), options_(std::move(options)), writer_(folder_ / "shop.db"), other_(folder_ / "shop.db") {
    options_.path = folder_ / "shop.db";
    for (testing::PlainDb* db : {&writer_, &other_}) sqlite3_busy_timeout(db->handle(), 30'000);
    writer_.exec(std::string("PRAGMA journal_mode = ") + kind.journal);
    writer_.exec("PRAGMA recursive_triggers = OFF; PRAGMA synchronous = OFF");
    writer_.exec(
        "CREATE TABLE first(id INTEGER PRIMARY KEY, name TEXT, amount INTEGER);"
        "CREATE TABLE second(id INT NOT NULL, name TEXT, amount INTEGER, PRIMARY KEY(id)) WITHOUT ROWID");
  }
  ~SqliteDatabase() override { endBreak(); }

  std::vector<std::string> tables() const override { return {"first", "second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    writer_.exec("BEGIN IMMEDIATE");
    const bool followed =
        writer_.text("SELECT count(*) FROM sqlite_schema WHERE name = '_tidegate_log_tidegate'") != "0";
    if (kind_.borders && followed) writer_.exec(sqlite::borderStatement());
    for (const SourceChange& change : changes) run(change);
    writer_.exec("COMMIT");
  }
  std::unique_ptr<SyncSource> source() override {
    endBreak();
    auto made = std::make_unique<Holder>(sqlite::source(options_));
    current_ = made->inner;
    return made;
  }
  /// With a rollback journal, an exclusive lock that outlasts the source's patience.
  bool disconnect() override {
    if (std::string_view(kind_.journal) == "WAL") return false;
    const std::lock_guard lock(breakMutex_);
    breaker_ = {};  // joins the last one
    breaker_ = std::jthread([this, source = current_](const std::stop_token& stop) {
      other_.exec("BEGIN EXCLUSIVE");
      const auto deadline = std::chrono::steady_clock::now() + 2s;
      const auto waits = [&] {
        const SourceState now = source->state();
        return now == SourceState::streaming || now == SourceState::paused;
      };
      while (waits() && !stop.stop_requested() && std::chrono::steady_clock::now() < deadline)
        std::this_thread::yield();
      other_.exec("ROLLBACK");
    });
    return true;
  }
  bool forgetHistory() override {
    writer_.exec("DELETE FROM _tidegate_log_tidegate");
    return true;
  }
  std::vector<std::pair<std::string, ErrorCode>> makeFaultyTables() override {
    writer_.exec(
        "CREATE TABLE keyless(a, b); CREATE VIEW look AS SELECT 1 AS id;"
        "CREATE VIRTUAL TABLE words USING fts5(text);"
        "CREATE TABLE partly(id INTEGER PRIMARY KEY, u); CREATE UNIQUE INDEX half ON partly(u) WHERE u > 0");
    return {{"keyless", ErrorCode::noReplicaIdentity},   {"look", ErrorCode::typeUnsupported},
            {"words", ErrorCode::typeUnsupported},       {"partly", ErrorCode::typeUnsupported},
            {"sqlite_schema", ErrorCode::tableNotFound}, {"First", ErrorCode::tableNotFound}};
  }

 private:
  /// The suite owns its sources alone; the breaker looks at the state of the one it has.
  struct Holder final : SyncSource {
    explicit Holder(std::shared_ptr<SyncSource> source) : inner(std::move(source)) {}
    void init(const SourceContext& context) override { inner->init(context); }
    std::vector<TableIssue> validateTables(const std::vector<std::string>& t) override {
      return inner->validateTables(t);
    }
    Shape describeTable(const std::string& t) override { return inner->describeTable(t); }
    Position baseline(const std::vector<std::string>& t, const ChangeHandler& h, std::stop_token s) override {
      return inner->baseline(t, h, s);
    }
    void stream(const std::vector<std::string>& t, const Position& p, const ChangeHandler& h,
                std::stop_token s) override {
      inner->stream(t, p, h, s);
    }
    void ack(const Position& p) override { inner->ack(p); }
    Position lastAckedPosition() const override { return inner->lastAckedPosition(); }
    bool supportsResume() const override { return inner->supportsResume(); }
    std::partial_ordering comparePositions(const Position& a, const Position& b) const override {
      return inner->comparePositions(a, b);
    }
    Position meet(const Position& a, const Position& b) const override { return inner->meet(a, b); }
    std::string positionToText(const Position& p) const override { return inner->positionToText(p); }
    Position positionFromText(std::string_view t) const override { return inner->positionFromText(t); }
    OrderingGuarantee orderingGuarantee() const override { return inner->orderingGuarantee(); }
    void pause() override { inner->pause(); }
    void resume() override { inner->resume(); }
    SourceState state() const override { return inner->state(); }
    SourceLag lag() const override { return inner->lag(); }
    void close() override { inner->close(); }
    std::unique_ptr<RowStream> readTable(const std::string& t, std::stop_token s) override {
      return inner->readTable(t, s);
    }
    void reset() override { inner->reset(); }
    std::shared_ptr<SyncSource> inner;
  };

  void run(const SourceChange& change) {
    const std::string table = tables()[change.table], id = std::to_string(change.id);
    const std::string row = id + ", " + quotedText(change.row.name) + ", " +
                            (change.row.amount ? std::to_string(*change.row.amount) : "NULL");
    switch (change.op) {
      case SourceChange::Op::insert:
        return writer_.exec("INSERT INTO " + table + " VALUES (" + row + ")");
      case SourceChange::Op::update:
        // A row that is not there is made: the suite's histories leave that open.
        return writer_.exec((change.id % 2 == 0 ? "INSERT OR REPLACE INTO " : "INSERT INTO ") + table + " VALUES (" +
                            row + ")" +
                            (change.id % 2 == 0 ? ""
                                                : " ON CONFLICT(id) DO UPDATE SET name = excluded.name, amount = "
                                                  "excluded.amount"));
      case SourceChange::Op::erase:
        return writer_.exec("DELETE FROM " + table + " WHERE id = " + id);
      case SourceChange::Op::truncate:
        return writer_.exec("DELETE FROM " + table);
    }
  }
  void endBreak() {
    const std::lock_guard lock(breakMutex_);
    breaker_ = {};
  }

  const testing::TempDir folder_{};
  const Kind kind_;
  SourceOptions options_;
  testing::PlainDb writer_, other_;
  std::shared_ptr<SyncSource> current_;
  std::mutex breakMutex_;
  std::jthread breaker_;
};

SourceCase sqliteSource(const std::string& name, SqliteDatabase::Kind kind, SourceOptions options = {},
                        std::uint64_t seeds = 10) {
  options.wakeInterval = 1ms;
  options.trimInterval = 1ms;
  options.trimRows = 7;
  options.backoff = {.firstDelay = 1ms, .maxDelay = 20ms, .maxRetries = 1'000};
  if (std::string_view(kind.journal) != "WAL") options.busyTimeout = 2ms;
  return {.name = name,
          .make = [kind, options] { return std::make_unique<SqliteDatabase>(kind, options); },
          .can = {.transactions = kind.borders, .seesTruncates = false, .seeds = seeds}};
}

const auto kSources = ::testing::Values(sqliteSource("Wal", {}), sqliteSource("WalWithBorders", {.borders = true}),
                                        sqliteSource("WalEventByEvent", {.borders = true}, {.batchEvents = 1}, 5),
                                        sqliteSource("RollbackJournal", {.journal = "DELETE", .borders = true}, {}, 5));

INSTANTIATE_TEST_SUITE_P(Sqlite, SyncSourceContract, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Sqlite, SourceHistories, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Sqlite, SourcePositions, kSources, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(Sqlite, SourceFailures, kSources, sourceCaseName);

}  // namespace
}  // namespace tidegate::contract
