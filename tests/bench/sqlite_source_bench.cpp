// What the SQLite source costs its writers, and how soon it tells what they commit.
#include <sqlite3.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

#include "bench/harness.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::bench {
namespace {

using Steady = std::chrono::steady_clock;
constexpr int kBulkRows = 200'000, kSingles = 2'000, kCommits = 5'000;

/// On the disk of the working directory, because /tmp may be memory.
class SourceFolder {
 public:
  SourceFolder() {
    std::string pattern = (std::filesystem::current_path() / "tidegate-bench-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("cannot make a temporary folder here");
    path_ = pattern;
  }
  ~SourceFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  SourceFolder(const SourceFolder&) = delete;
  SourceFolder& operator=(const SourceFolder&) = delete;
  std::string file() const { return (path_ / "shop.db").string(); }

 private:
  std::filesystem::path path_;
};

/// A plain program with a prepared insert of five columns.
class PlainWriter {
 public:
  PlainWriter(const std::string& file, const char* synchronous) {
    if (sqlite3_open(file.c_str(), &db_) != SQLITE_OK) throw std::runtime_error("open");
    sqlite3_busy_timeout(db_, 10'000);
    exec("PRAGMA journal_mode = WAL; PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 4096");
    exec((std::string("PRAGMA synchronous = ") + synchronous).c_str());
    exec(
        "CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, name TEXT, email TEXT, score INTEGER, updated_at "
        "INTEGER)");
  }
  ~PlainWriter() {
    sqlite3_finalize(insert_);
    sqlite3_close(db_);
  }
  PlainWriter(const PlainWriter&) = delete;
  PlainWriter& operator=(const PlainWriter&) = delete;

  void exec(const char* sql) {
    if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) != SQLITE_OK) throw std::runtime_error(sqlite3_errmsg(db_));
  }
  void insert(int n) {
    if (insert_ == nullptr) sqlite3_prepare_v2(db_, "INSERT INTO orders VALUES(?,?,?,?,?)", -1, &insert_, nullptr);
    const std::string name = "name of " + std::to_string(n), email = "user" + std::to_string(n) + "@example.com";
    sqlite3_bind_int64(insert_, 1, n);
    sqlite3_bind_text(insert_, 2, name.data(), static_cast<int>(name.size()), SQLITE_STATIC);
    sqlite3_bind_text(insert_, 3, email.data(), static_cast<int>(email.size()), SQLITE_STATIC);
    sqlite3_bind_int64(insert_, 4, n * 7);
    sqlite3_bind_int64(insert_, 5, 1'700'000'000'000 + n);
    if (sqlite3_step(insert_) != SQLITE_DONE) throw std::runtime_error(sqlite3_errmsg(db_));
    sqlite3_reset(insert_);
  }

 private:
  sqlite3* db_ = nullptr;
  sqlite3_stmt* insert_ = nullptr;
};

Position followOrders(const std::shared_ptr<SyncSource>& source) {
  source->init({});
  return source->baseline({"orders"}, [](ChangeBatch&) { return Taken::yes; }, {});
}

/// Seconds for the rows, in transactions of `unit` rows; 1: each by itself.
double writeRows(int rows, int unit, bool followed) {
  const SourceFolder folder;
  PlainWriter writer(folder.file(), "FULL");
  if (followed) followOrders(sqlite::source({.path = folder.file()}));
  return secondsOf([&] {
    for (int n = 0; n < rows; ++n) {
      if (unit > 1 && n % unit == 0) writer.exec("BEGIN IMMEDIATE");
      writer.insert(n);
      if (unit > 1 && n % unit == unit - 1) writer.exec("COMMIT");
    }
  });
}

void overhead() {
  const auto measured = [](int rows, int unit) {
    return measurePair(
        5, [&] { return writeRows(rows, unit, true); }, [&] { return writeRows(rows, unit, false); });
  };
  const Pair single = measured(kSingles, 1);
  reportFigure("sqlite_source_writer_single", single.ours / kSingles * 1e6, "us/commit");
  reportFigure("sqlite_source_writer_single_plain", single.limit / kSingles * 1e6, "us/commit");
  report({"sqlite_source_single", (single.ours - single.limit) / kSingles * 1e6, "us/commit added",
          single.limit / kSingles * 1e6, Better::lower, 2.0});
  const Pair bulk = measured(kBulkRows, 1'000);
  report({"sqlite_source_bulk", (bulk.ours - bulk.limit) / kBulkRows * 1e9, "ns/row added",
          bulk.limit / kBulkRows * 1e9, Better::lower, 2.0});
}

std::int64_t nowNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Steady::now().time_since_epoch()).count();
}

double percentileOf(std::vector<double>& millis, double share) {
  std::sort(millis.begin(), millis.end());
  return millis[static_cast<std::size_t>(static_cast<double>(millis.size() - 1) * share)];
}

/// One row a millisecond, each a commit of its own; from before the commit is asked for to the callback.
void latency() {
  const SourceFolder folder;
  PlainWriter writer(folder.file(), "NORMAL");
  const auto source = sqlite::source({.path = folder.file()});
  const Position from = followOrders(source);
  std::vector<std::atomic<std::int64_t>> seen(kCommits);
  std::vector<std::int64_t> asked(kCommits);
  const auto take = [&](ChangeBatch& batch) {
    for (const ChangeEvent& event : batch) {
      if (event.op == ChangeOp::insert) seen[static_cast<std::size_t>(event.after[0].as<std::int64_t>())] = nowNanos();
    }
    return Taken::yes;
  };
  {
    std::jthread reader([&](const std::stop_token& stop) { source->stream({"orders"}, from, take, stop); });
    auto next = Steady::now() + std::chrono::milliseconds(100);
    for (int n = 0; n < kCommits; ++n) {
      std::this_thread::sleep_until(next += std::chrono::milliseconds(1));
      asked[static_cast<std::size_t>(n)] = nowNanos();
      writer.insert(n);
    }
    const auto deadline = Steady::now() + std::chrono::seconds(30);
    while (seen.back() == 0 && Steady::now() < deadline) std::this_thread::yield();
    if (seen.back() == 0) throw std::runtime_error("the last commit never arrived");
  }
  std::vector<double> millis;
  for (std::size_t n = 0; n < asked.size(); ++n) millis.push_back(static_cast<double>(seen[n] - asked[n]) / 1e6);
  reportFigure("sqlite_source_latency_p50", percentileOf(millis, 0.5), "ms");
  report({"sqlite_source_latency", percentileOf(millis, 0.99), "ms at p99", 5.0, Better::lower, 1.0});
}

const Registration kSqliteSource(
    "sqlite_source", "what a followed insert costs its writer more / a plain insert; commit to callback / 5 ms", [] {
      overhead();
      latency();
    });

}  // namespace
}  // namespace tidegate::bench
