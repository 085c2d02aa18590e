/// A SQLite file as the target of the contract's sinks.
#pragma once

#include <utility>

#include "contract/sink_rig.h"
#include "sqlite/fault_vfs.h"
#include "sqlite/temp_database.h"
#include "tidegate/sqlite/sink.h"

namespace tidegate::contract {

class SqliteTarget final : public SinkTarget {
 public:
  explicit SqliteTarget(sqlite::SinkOptions options = {}) : options_(std::move(options)) {
    options_.path = path();
    options_.busyTimeout = std::chrono::milliseconds(20);
  }

  std::string path() const { return dir_ / "replica.db"; }
  std::shared_ptr<Sink> sink() override { return sqlite::sink(options_); }
  std::vector<Values> rows(const Shape& shape) override {
    std::vector<Values> found;
    const auto reader = sink();
    const auto stream = reader->readTable(shape, {});
    for (Values row; stream->next(row);) found.push_back(row);
    return found;
  }
  bool breakNextCommit() override {
    faults_.failWrites(1);
    return true;
  }

 private:
  testing::TempDir dir_;
  testing::FaultVfs faults_;
  sqlite::SinkOptions options_;
};

}  // namespace tidegate::contract
