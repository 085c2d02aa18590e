/// A database of its own, a writer, and a source that reads it on a thread.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "contract/source_reader.h"
#include "mysql/binlog_link.h"
#include "mysql/detail/make_source.h"

namespace tidegate::mysql {

using servers::execute;
using servers::isMariaDb;
using servers::numbersTo;
using servers::readAll;

inline const std::string kTable = "binlog_test.t";

class BinlogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    execute(writer, {"DROP DATABASE IF EXISTS binlog_test", "CREATE DATABASE binlog_test CHARACTER SET utf8mb4",
                     "USE binlog_test"});
  }
  void TearDown() override {
    reader.reset();
    execute(writer, {"SET GLOBAL binlog_row_metadata = FULL", "SET GLOBAL binlog_row_image = FULL",
                     isMariaDb() ? "SET GLOBAL log_bin_compress = OFF"
                                 : "SET GLOBAL binlog_transaction_compression = OFF, binlog_row_value_options = ''",
                     "DROP DATABASE IF EXISTS binlog_test"});
  }

  void makeSource(SourceOptions options = quickOptions()) {
    reader.reset();
    source = detail::makeSource(std::move(options));
    source->init({.onState =
                      [this](const SourceStateChange& step) {
                        const std::lock_guard lock(warningsMutex);
                        if (step.to == SourceState::streaming || step.to == SourceState::connected) return;
                        lastStep = std::string(toString(step.to)) + ": " + step.reason;
                      },
                  .onWarning =
                      [this](const std::string& text) {
                        const std::lock_guard lock(warningsMutex);
                        warnings.push_back(text);
                      }});
    reader = std::make_unique<contract::SourceReader>(*source, contract::SourceAbilities{});
  }
  /// Reads a baseline of the tables and follows them.
  void follow(const std::vector<std::string>& tables, SourceOptions options = quickOptions()) {
    makeSource(std::move(options));
    const Position at = reader->baseline(tables);
    reader->start(tables, at);
  }
  /// What came since, `progress` left out.
  std::vector<ChangeEvent> events() const {
    std::vector<ChangeEvent> all = reader->events();
    std::erase_if(all, [](const ChangeEvent& e) { return e.op == ChangeOp::progress; });
    return all;
  }
  /// Changes of the stream, once there are `count` of them.
  std::vector<ChangeEvent> changes(std::size_t count) const {
    const auto ofStream = [this] {
      std::vector<ChangeEvent> all = reader->eventsHeld();
      std::erase_if(all, [](const ChangeEvent& e) {
        return e.op == ChangeOp::progress || e.op == ChangeOp::read || e.op == ChangeOp::baselineBegin ||
               e.op == ChangeOp::baselineEnd;
      });
      return all;
    };
    std::vector<ChangeEvent> got;  // copied within `await`: what comes meanwhile moves those that are held
    const bool enough = reader->await([&] { return (got = ofStream()).size() >= count; });
    EXPECT_TRUE(enough) << "got " << got.size() << failureText();
    return got;
  }
  /// What the stream ended with. It must end by itself.
  Error failure() {
    EXPECT_TRUE(reader->awaitEnd());
    reader->stop();
    try {
      if (reader->failure()) std::rethrow_exception(reader->failure());
    } catch (const Error& e) {
      return e;
    }
    return Error(ErrorCode::internal, Retry::never, "it did not fail");
  }
  std::string failureText() const {
    const std::lock_guard lock(warningsMutex);
    try {
      if (reader->failure()) std::rethrow_exception(reader->failure());
    } catch (const std::exception& e) {
      return std::string("; ") + e.what();
    }
    return "; " + lastStep;
  }
  static std::string opsOf(const std::vector<ChangeEvent>& events) {
    std::string ops;
    for (const ChangeEvent& event : events) ops += (ops.empty() ? "" : " ") + std::string(toString(event.op));
    return ops;
  }

  /// Whether positions can be made of GTIDs.
  bool hasGtids() const {
    return isMariaDb() || describe(readAll(writer, "SELECT @@GLOBAL.gtid_mode")[0][0]) == "\"ON\"";
  }

  QueryFn writer = queryFn(testConnect());
  std::unique_ptr<SyncSource> source;
  std::unique_ptr<contract::SourceReader> reader;
  mutable std::mutex warningsMutex;
  std::string lastStep;               ///< guarded by warningsMutex
  std::vector<std::string> warnings;  ///< guarded by warningsMutex
};

}  // namespace tidegate::mysql
