/// A SQLite database that another connection writes to, a source of it, and a replica that finds fault with what the
/// source tells.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "sqlite/temp_database.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/source.h"

namespace tidegate::testing {

using ReplicaRow = std::vector<Value>;

inline std::string printed(const ReplicaRow& row) {
  std::string text;
  for (const Value& value : row) text += std::string(toString(value.kind())) + ":" + describe(value, 1u << 20) + "|";
  return text;
}

/// Applies events with the strictness of a target that holds exactly what was told so far.
class StrictReplica {
 public:
  void apply(const ChangeEvent& event) {
    if (event.op == ChangeOp::progress) return;
    const std::string& name = event.shape->schema.table;
    auto& table = tables[name];
    if (event.transactionBegin == open_) fault(name + ": a border is missing or doubled");
    open_ = !event.transactionEnd;
    switch (event.op) {
      case ChangeOp::baselineBegin:
        table.clear();
        return;
      case ChangeOp::read:
      case ChangeOp::insert:
        if (!table.emplace(keyOf(event, event.after), event.after).second) fault(name + ": an insert of what is there");
        return;
      case ChangeOp::update: {
        const auto at = table.find(keyOf(event, event.after));
        if (at == table.end()) return fault(name + ": an update of what is not there: " + printed(event.after));
        at->second = event.after;
        return;
      }
      case ChangeOp::erase:
        if (table.erase(keyOf(event, event.before)) == 0) {
          fault(name + ": an erase of what is not there: " + printed(event.before));
        }
        return;
      default:
        return;
    }
  }
  /// The rows of a table, printed and in order.
  std::vector<std::string> rows(const std::string& table) const {
    std::vector<std::string> out;
    const auto at = tables.find(table);
    if (at == tables.end()) return out;
    for (const auto& [key, row] : at->second) out.push_back(printed(row));
    std::sort(out.begin(), out.end());
    return out;
  }
  std::map<std::string, std::map<std::string, ReplicaRow>> tables{};
  std::vector<std::string> faults{};

 private:
  static std::string keyOf(const ChangeEvent& event, const ReplicaRow& row) {
    ReplicaRow key;
    for (const std::uint32_t i : event.shape->key) key.push_back(row.at(i));
    return printed(key);
  }
  void fault(std::string what) {
    if (faults.size() < 5) faults.push_back(std::move(what));
  }
  bool open_ = false;
};

/// What the database holds, by a plain query.
inline std::vector<std::string> rowsOf(const std::string& path, const std::string& sql) {
  const QueryFn query = sqlite::queryFn({.path = path});
  ResultSet result = query({.sql = sql});
  std::vector<std::string> out;
  for (ReplicaRow row; result.next(row);) out.push_back(printed(row));
  std::sort(out.begin(), out.end());
  return out;
}

class SourceRig {
 public:
  explicit SourceRig(const char* journal = "WAL") : writer(path()) {
    sqlite3_busy_timeout(writer.handle(), 30'000);
    writer.exec(std::string("PRAGMA journal_mode = ") + journal + "; PRAGMA synchronous = OFF");
    writer.exec("PRAGMA recursive_triggers = OFF");  // as it is where SQLite was not built otherwise
    options = {.path = path(),
               .wakeInterval = std::chrono::milliseconds(1),
               .trimInterval = std::chrono::milliseconds(1),
               .backoff = {.firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(20)}};
  }
  ~SourceRig() {
    stop();
    for (const std::string& fault : replica.faults) ADD_FAILURE() << fault;
  }
  std::string path() const { return folder / "shop.db"; }

  void makeSource() {
    stop();
    source = sqlite::source(options);
    source->init({.name = "shop", .jitterSeed = 1, .onWarning = [this](const std::string& text) {
                    const std::lock_guard lock(mutex_);
                    warnings.push_back(text);
                  }});
  }
  void baseline(const std::vector<std::string>& tables) {
    if (!source) makeSource();
    place = source->baseline(tables, handler(), {});
  }
  void start(const std::vector<std::string>& tables) {
    failure_ = nullptr;
    ended_ = false;
    stop_ = std::stop_source();
    thread_ = std::thread([this, tables, from = place, token = stop_.get_token()] {
      std::exception_ptr failure;
      try {
        source->stream(tables, from, handler(), token);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      ended_ = true;
      changed_.notify_all();
    });
  }
  void follow(const std::vector<std::string>& tables) {
    baseline(tables);
    start(tables);
  }
  void stop() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  /// Waits until the replica's table is what the query gives now.
  void awaitRows(const std::string& table) { awaitRows(table, "SELECT * FROM \"" + table + "\""); }
  void awaitRows(const std::string& table, const std::string& sql) {
    const auto wanted = rowsOf(path(), sql);
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ended_ || replica.rows(table) == wanted; });
    EXPECT_EQ(replica.rows(table), wanted);
  }
  /// Waits for an event for which `holds`, from the first on.
  template <class Holds>
  std::optional<ChangeEvent> awaitEvent(Holds&& holds) {
    std::unique_lock lock(mutex_);
    std::optional<ChangeEvent> found;
    changed_.wait_for(lock, std::chrono::seconds(30), [&] {
      const auto at = std::find_if(events.begin(), events.end(), holds);
      if (at != events.end()) found = *at;
      return found || ended_;
    });
    return found;
  }
  /// Waits until the stream has ended by itself; what it threw.
  std::optional<Error> awaitFailure() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return ended_; });
    lock.unlock();
    stop();
    try {
      if (failure_) std::rethrow_exception(failure_);
    } catch (const Error& error) {
      return error;
    }
    return std::nullopt;
  }
  /// Ops of a table, from event `first` on: "insert update erase".
  std::string ops(const std::string& table, std::size_t first = 0) {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (std::size_t i = first; i < events.size(); ++i) {
      if (events[i].shape && events[i].shape->schema.table == table) {
        text += (text.empty() ? "" : " ") + std::string(toString(events[i].op));
      }
    }
    return text;
  }
  std::size_t count() {
    const std::lock_guard lock(mutex_);
    return events.size();
  }
  /// Whether a warning holds the text.
  bool warned(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return std::any_of(warnings.begin(), warnings.end(),
                       [&](const std::string& warning) { return warning.find(text) != warning.npos; });
  }

  const TempDir folder{};
  PlainDb writer;
  sqlite::SourceOptions options;
  std::shared_ptr<SyncSource> source;
  Position place;  ///< behind what was taken
  StrictReplica replica;
  std::vector<ChangeEvent> events;
  std::vector<std::string> warnings;

 private:
  ChangeHandler handler() {
    return [this](ChangeBatch& batch) {
      const std::lock_guard lock(mutex_);
      for (const ChangeEvent& event : batch) {
        events.push_back(event);
        replica.apply(event);
        place = event.position;
      }
      changed_.notify_all();
      return Taken::yes;
    };
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::exception_ptr failure_;
  bool ended_ = false;
  std::stop_source stop_;
  std::thread thread_;
};

}  // namespace tidegate::testing
