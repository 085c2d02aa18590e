/// A SQLite source that waits where a test wants it to, until it is let go or cancelled.
#pragma once

#include <atomic>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/clock.h"
#include "tidegate/core/error.h"
#include "tidegate/jobs/job_source.h"
#include "tidegate/sqlite/job_driver.h"
#include "tidegate/sqlite/query_fn.h"

namespace tidegate::test {

/// @thread Any; the settings before the first query.
class SlowSource {
 public:
  std::latch reached{1};  ///< by the first query that waits
  std::stop_source go;    ///< ends every wait
  bool always = false;    ///< every question for rows waits; else the first one does
  /// Asked before each row that is handed out; true: this one waits, and no question does.
  std::function<bool()> stallsAtRow{};
  std::function<void()> beforeRows{};  ///< called in each question for rows; what it throws is the source's failure

  int open() const { return count(open_); }  ///< questions now being answered
  int most() const { return count(most_); }  ///< of them at one time
  int connections() const { return count(connections_); }
  int connected() const { return count(connected_); }  ///< in all

  JobDriver driver(const std::string& path) {
    JobDriver out = sqlite::jobDriver();
    out.connect = [this, path](const JobSource&) {
      add(connected_, 1);
      add(connections_, 1);
      const std::shared_ptr<int> token(new int(0), [this](int* p) {
        delete p;
        add(connections_, -1);
      });
      const QueryFn real = sqlite::queryFn({.path = path});
      return QueryFn(Dialect::sqlite, [this, token, real](const Query& query) {
        if (query.sql.find("tidegate_src") == std::string::npos) return real(query);
        if (beforeRows) beforeRows();
        enter();
        if (!stallsAtRow && (slow_.exchange(false) || always)) wait(query.stop);
        add(open_, -1);
        refuseIfStopped(query.stop);
        return stallsAtRow ? ResultSet(std::make_unique<Rows>(*this, query.stop, real(query))) : real(query);
      });
    };
    return out;
  }

 private:
  class Rows final : public RowStream {
   public:
    Rows(SlowSource& source, std::stop_token stop, ResultSet rows)
        : source_(source), stop_(std::move(stop)), rows_(std::move(rows)) {}
    const Columns& columns() const override { return rows_.columns(); }
    bool next(std::vector<Value>& values) override {
      if (source_.stallsAtRow()) source_.wait(stop_);
      refuseIfStopped(stop_);
      return rows_.next(values);
    }

   private:
    SlowSource& source_;
    const std::stop_token stop_;
    ResultSet rows_;
  };

  static void refuseIfStopped(const std::stop_token& stop) {
    if (stop.stop_requested()) throw Error(ErrorCode::queryCancelled, Retry::later, "stopped");
  }
  void wait(const std::stop_token& stop) {
    if (!told_.exchange(true)) reached.count_down();
    const std::stop_callback cancelled(stop, [this] { go.request_stop(); });
    systemScheduler().waitFor(std::chrono::seconds(60), go.get_token());
  }
  void enter() {
    const std::lock_guard lock(mutex_);
    if (++open_ > most_) most_ = open_;
  }
  void add(int& what, int by) {
    const std::lock_guard lock(mutex_);
    what += by;
  }
  int count(const int& what) const {
    const std::lock_guard lock(mutex_);
    return what;
  }

  mutable std::mutex mutex_;
  int open_ = 0, most_ = 0, connections_ = 0, connected_ = 0;  ///< guarded by mutex_
  std::atomic<bool> slow_{true}, told_{false};
};

}  // namespace tidegate::test
