/// Keeps a diff poller's picture back until what it stands for is acknowledged.
///
/// The poller marks rows as in doubt before it delivers them, and that mark goes through at once; the row's new picture
/// waits here. So whatever happens in between, the real snapshot says of a row either what is durable, or that it is
/// not known: then the row is delivered again.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "source/detail/polling_place.h"
#include "tidegate/source/snapshot_store.h"

namespace tidegate::detail {

/// @thread One at a time.
class StagedSnapshot final : public TableSnapshot {
 public:
  explicit StagedSnapshot(std::unique_ptr<TableSnapshot> real) : real_(std::move(real)) {}

  void beginPoll() override { real_->beginPoll(); }
  Found mark(std::string_view rowId, std::string_view packed, std::string& before) override;
  void visitUnmarked(const Visitor& visit) override;
  void put(std::string_view rowId, std::string_view packed) override;
  void erase(std::string_view rowId) override;
  void commit() override { real_->commit(); }
  /// Always: rows must be marked as in doubt, for a stream that goes back in this process too.
  bool outlivesProcess() const override { return !direct_; }
  std::size_t rows() const override { return real_->rows() - erased_; }
  std::size_t bytes() const override;

  bool realOutlivesProcess() const { return real_->outlivesProcess(); }
  /// While set nothing is kept back: for a first baseline, which starts from nothing if it is not finished.
  void setDirect(bool direct) { direct_ = direct; }
  void at(PollingPlace place) { now_ = place; }
  /// @throws Error{storeUnavailable}
  void flush(PollingPlace acked);
  /// Forgets what was delivered after `from`: those rows are in doubt.
  void rewind(PollingPlace from);
  /// Forgets everything.
  void clear();

 private:
  struct Pending {
    PollingPlace place;
    bool erased = false;
    std::string packed;
  };
  using Rows = std::map<std::string, Pending, std::less<>>;

  void stage(std::string_view rowId, Pending pending);
  void drop(Rows::iterator row);

  std::unique_ptr<TableSnapshot> real_;
  Rows pending_;
  std::deque<std::pair<PollingPlace, std::string>> order_;  ///< of staging; a row that was staged again stands twice
  std::size_t erased_ = 0, bytes_ = 0;
  PollingPlace now_;
  bool direct_ = false;
};

/// Gives the pollers the snapshots that live on here.
/// @thread One at a time.
class StagedSnapshots final : public SnapshotStore {
 public:
  explicit StagedSnapshots(std::shared_ptr<SnapshotStore> real) : real_(std::move(real)) {}
  std::unique_ptr<TableSnapshot> open(std::string_view key) override;

  StagedSnapshot& of(std::string_view key);
  template <class Call>
  void forEach(Call&& call) {
    for (auto& [key, snapshot] : open_) call(*snapshot);
  }

 private:
  std::shared_ptr<SnapshotStore> real_;
  std::map<std::string, std::shared_ptr<StagedSnapshot>, std::less<>> open_;
};

}  // namespace tidegate::detail
