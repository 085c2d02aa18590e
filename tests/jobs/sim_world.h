/// A store and a replica that outlive processes, and processes that die at a chosen write to either.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "jobs/detail/job_checkpoint.h"
#include "source/detail/poll_state.h"
#include "tidegate/jobs/job_store.h"
#include "tidegate/sink/sink.h"

namespace tidegate::test {

/// Thrown where a process dies, and by everything that it still tries.
struct Died : std::runtime_error {
  Died() : std::runtime_error("the process died") {}
};

/// One process's life: it ends at its n-th write, before it or right after it.
struct Life {
  std::uint64_t writes = 0;
  std::uint64_t lastWrite = UINT64_MAX;
  bool afterIt = false;
  bool dead = false;

  void alive() const {
    if (dead) throw Died();
  }
  template <class Write>
  void write(Write&& work) {
    alive();
    const bool last = ++writes == lastWrite;
    if (last && !afterIt) {
      dead = true;
      throw Died();
    }
    work();
    if (last) {
      dead = true;
      throw Died();
    }
  }
};

/// A process's view of the store.
class MortalStore final : public JobStore {
 public:
  MortalStore(std::shared_ptr<JobStore> disk, std::shared_ptr<Life> life)
      : disk_(std::move(disk)), life_(std::move(life)) {}
  std::vector<StoredJob> list() override { return life_->alive(), disk_->list(); }
  std::optional<StoredJob> get(std::string_view name) override { return life_->alive(), disk_->get(name); }
  std::optional<std::uint64_t> put(std::string_view name, std::uint64_t expected, std::string_view record,
                                   const StoredRun* run, std::size_t keepRuns) override {
    std::optional<std::uint64_t> version;
    life_->write([&] { version = disk_->put(name, expected, record, run, keepRuns); });
    return version;
  }
  bool remove(std::string_view name, std::uint64_t expected) override { return disk_->remove(name, expected); }
  std::vector<StoredRun> runs(std::string_view name, std::uint64_t before, std::size_t limit) override {
    return disk_->runs(name, before, limit);
  }

 private:
  std::shared_ptr<JobStore> disk_;
  std::shared_ptr<Life> life_;
};

/// Tables of id and text, with each pipeline's checkpoint and fence.
struct ReplicaDisk {
  using Table = std::map<std::int64_t, std::string>;
  std::map<std::string, Table> tables;
  std::map<std::string, std::string> checkpoints;
  std::map<std::string, std::uint64_t> epochs;
  std::vector<std::string> broken;  ///< what must never happen, and did
};

/// Writes units of work to the disk whole or not at all.
class MortalSink final : public Sink {
 public:
  MortalSink(std::shared_ptr<ReplicaDisk> disk, std::shared_ptr<Life> life)
      : disk_(std::move(disk)), life_(std::move(life)) {}

  SinkTraits traits() const override { return {}; }
  std::optional<std::string> open(const SinkContext& context) override {
    pipeline_ = context.pipeline;
    life_->write([&] { epoch_ = ++disk_->epochs[pipeline_]; });
    pending_.clear();
    const auto at = disk_->checkpoints.find(pipeline_);
    if (at == disk_->checkpoints.end()) return std::nullopt;
    return at->second;
  }
  void prepareTable(const Shape&) override {}
  void apply(const ChangeBatch& batch) override {
    life_->alive();
    for (const ChangeEvent& event : batch) {
      const bool erases = event.op == ChangeOp::erase;
      const auto& row = erases ? event.before : event.after;
      Change change{event.shape->schema.table, row.at(event.shape->key[0]).as<std::int64_t>(), std::nullopt};
      if (!erases) change.text = row.at(1).as<std::string>();
      pending_.push_back(std::move(change));
    }
  }
  void commit(std::string_view checkpoint) override {
    if (disk_->epochs[pipeline_] != epoch_) throw Error(ErrorCode::fenced, Retry::afterOperator, "fenced");
    life_->write([&] {
      for (Change& change : pending_) {
        auto& table = disk_->tables[change.table];
        if (change.text) {
          table[change.id] = std::move(*change.text);
        } else {
          table.erase(change.id);
        }
      }
      pending_.clear();
      checkMonotone(disk_->checkpoints[pipeline_], checkpoint);
      disk_->checkpoints[pipeline_] = std::string(checkpoint);
    });
  }
  void rollback() noexcept override { pending_.clear(); }
  void close() noexcept override { pending_.clear(); }

 private:
  /// Of the open unit; no text: the row is erased.
  struct Change {
    std::string table;
    std::int64_t id;
    std::optional<std::string> text;
  };

  static std::optional<Value> cursorOf(std::string_view text) {
    const auto checkpoint = detail::decodeCheckpoint(text);
    if (!checkpoint || checkpoint->state.empty()) return std::nullopt;
    return detail::decodeState(checkpoint->state, checkpoint->config).state.newest;
  }
  void checkMonotone(std::string_view before, std::string_view after) {
    const auto old = cursorOf(before), now = cursorOf(after);
    if (old && (!now || compareValues(*now, *old) == std::partial_ordering::less)) {
      disk_->broken.push_back(pipeline_ + ": the cursor went back");
    }
  }

  std::shared_ptr<ReplicaDisk> disk_;
  std::shared_ptr<Life> life_;
  std::vector<Change> pending_;
  std::string pipeline_;
  std::uint64_t epoch_ = 0;
};

}  // namespace tidegate::test
