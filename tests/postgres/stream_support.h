/// A source on the private Postgres, a reader of it, and a writer beside them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "postgres/detail/feedback.h"
#include "postgres/detail/make_source.h"
#include "postgres/detail/position.h"
#include "postgres/link.h"
#include "tidegate/postgres/source.h"

namespace tidegate::postgres::detail {

inline SourceOptions testSource() {
  SourceOptions options;
  options.connect = testOptions();
  options.slot = "tidegate_test";
  options.publication.name = "tidegate_test";
  options.statusInterval = std::chrono::milliseconds(100);
  options.monitorInterval = std::chrono::milliseconds(20);
  options.backoff = {
      .firstDelay = std::chrono::milliseconds(20), .maxDelay = std::chrono::milliseconds(200), .maxRetries = 100};
  return options;
}

/// "insert public.t (1, a)", for comparisons that people can read.
inline std::string rowText(const std::vector<Value>& values, const std::vector<std::uint32_t>& left) {
  std::string text = "(";
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    if (i > 0) text += ", ";
    const bool out = std::find(left.begin(), left.end(), i) != left.end();
    const auto* plain = values[i].getIf<std::string>();
    text += out ? "-" : values[i].isNull() ? "null" : plain != nullptr ? *plain : describe(values[i], 40);
  }
  return text + ")";
}
inline std::string eventText(const ChangeEvent& event) {
  std::string text(toString(event.op));
  if (event.shape) text += " " + event.shape->schema.table;
  if (!event.before.empty()) text += " " + rowText(event.before, event.beforeAbsent) + " ->";
  if (!event.after.empty()) text += " " + rowText(event.after, event.unchanged);
  return text;
}

/// Streams on a thread of its own and keeps what came, `progress` left out.
class StreamReaderForTest {
 public:
  explicit StreamReaderForTest(SyncSource& source) : source_(source) {}
  ~StreamReaderForTest() { stop(); }

  Position baseline(const std::vector<std::string>& tables) { return source_.baseline(tables, handler(), {}); }
  void start(const std::vector<std::string>& tables, const Position& from) {
    stop();
    stop_ = std::stop_source();
    failure_ = nullptr;
    ended_ = false;
    thread_ = std::thread([this, tables, from, token = stop_.get_token()] {
      std::exception_ptr failure;
      try {
        source_.stream(tables, from, handler(), token);
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      ended_ = true;
      changed_.notify_all();
    });
  }
  void stop() {
    stop_.request_stop();
    if (thread_.joinable()) thread_.join();
  }
  void setFull(bool full) { full_ = full; }
  /// From here on everything that comes is durable at once, also that nothing came.
  void acknowledgeAll() { acknowledges_ = true; }
  std::uint64_t offers() const { return offers_; }

  bool await(const std::function<bool()>& holds, std::chrono::seconds deadline = std::chrono::seconds(60)) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, deadline, [&] { return holds() || ended_; });
    return holds();
  }
  bool awaitEvents(std::size_t count) {
    return await([&] { return events_.size() >= count; });
  }
  /// Waits until the stream ended. @return the Error that it threw; nullopt: none, or the deadline passed.
  std::optional<Error> awaitFailure() {
    {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ended_; });
    }
    stop();
    if (!failure_) return std::nullopt;
    try {
      std::rethrow_exception(failure_);
    } catch (const Error& e) {
      return e;
    }
  }
  std::vector<ChangeEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<std::string> texts(std::size_t from = 0) const {
    std::vector<std::string> out;
    const auto all = events();
    for (std::size_t i = from; i < all.size(); ++i) out.push_back(eventText(all[i]));
    return out;
  }
  const std::vector<ChangeEvent>& held() const { return events_; }  ///< within `await`
  Position last() const {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }
  std::string error() const {
    try {
      if (failure_) std::rethrow_exception(failure_);
    } catch (const std::exception& e) {
      return e.what();
    }
    return {};
  }

  ChangeHandler handler() {
    return [this](ChangeBatch& batch) {
      offers_.fetch_add(1);
      if (full_) return Taken::full;
      const std::lock_guard lock(mutex_);
      for (const ChangeEvent& event : batch) {
        last_ = event.position;
        if (event.op != ChangeOp::progress) events_.push_back(event);
      }
      if (acknowledges_) source_.ack(last_);
      changed_.notify_all();
      return Taken::yes;
    };
  }

 private:
  SyncSource& source_;
  std::stop_source stop_;
  std::thread thread_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<ChangeEvent> events_;
  Position last_;
  std::exception_ptr failure_;
  bool ended_ = false;
  std::atomic<bool> full_{false}, acknowledges_{false};
  std::atomic<std::uint64_t> offers_{0};
};

/// A fresh slot and publication for each test, and none left behind.
class StreamTest : public testing::Test {
 protected:
  void SetUp() override { clean(); }
  void TearDown() override {
    reader.reset();
    source.reset();
    clean();
  }
  SyncSource& make(SourceOptions options = testSource()) {
    reader.reset();
    source.reset();
    source = makeSource(std::move(options));
    SourceContext context{.name = "test", .jitterSeed = 1};
    context.onState = [this](const SourceStateChange& step) {
      const std::lock_guard lock(mutex_);
      steps_.push_back(step.to);
    };
    context.onWarning = [this](const std::string& text) {
      const std::lock_guard lock(mutex_);
      warnings_.push_back(text);
    };
    source->init(context);
    reader = std::make_unique<StreamReaderForTest>(*source);
    return *source;
  }
  /// Baseline and stream of the tables; what the baseline gave is forgotten.
  void follow(const std::vector<std::string>& tables, SourceOptions options = testSource()) {
    make(std::move(options));
    const Position at = reader->baseline(tables);
    reader->forget();
    reader->start(tables, at);
    ASSERT_TRUE(servers::eventually([&] { return source->state() == SourceState::streaming; })) << reader->error();
  }
  bool wentThrough(SourceState state) const {
    const std::lock_guard lock(mutex_);
    return std::find(steps_.begin(), steps_.end(), state) != steps_.end();
  }
  bool warned(std::string_view part) const {
    const std::lock_guard lock(mutex_);
    return std::any_of(warnings_.begin(), warnings_.end(),
                       [&](const std::string& w) { return w.find(part) != std::string::npos; });
  }
  /// Waits until nothing uses a slot of ours.
  bool slotsFree() {
    return servers::eventually([&] {
      return db().ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'tidegate%' AND active") == "0";
    });
  }
  /// A test that failed may have left the server down.
  void awaken() {
    try {
      db();
    } catch (const Error&) {
      servers::control("postgres", "start");
    }
  }
  void clean() {
    awaken();
    ASSERT_TRUE(servers::eventually([&] {
      try {
        db().run(
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active AND slot_name LIKE "
            "'tidegate%'");
        db().run(
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE NOT temporary AND "
            "slot_name LIKE 'tidegate%'");
        return db().ask("SELECT count(*) FROM pg_replication_slots WHERE slot_name LIKE 'tidegate%'") == "0";
      } catch (const Error&) {
        return false;
      }
    }));
    db().execute({"DROP PUBLICATION IF EXISTS tidegate_test", "DROP SCHEMA IF EXISTS s CASCADE", "CREATE SCHEMA s"});
  }
  /// A writer's connection, made again when the server was away.
  TestLink& db() {
    try {
      if (db_) db_->run("SELECT 1");
    } catch (const Error&) {
      db_.reset();
    }
    if (!db_) db_ = std::make_unique<TestLink>();
    return *db_;
  }
  /// The slot's confirmed place.
  Lsn confirmed() {
    return lsnFromText(
               db().ask("SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 'tidegate_test'"))
        .value_or(0);
  }

  std::unique_ptr<SyncSource> source;
  std::unique_ptr<StreamReaderForTest> reader;

 private:
  std::unique_ptr<TestLink> db_;
  mutable std::mutex mutex_;
  std::vector<SourceState> steps_;
  std::vector<std::string> warnings_;
};

}  // namespace tidegate::postgres::detail
