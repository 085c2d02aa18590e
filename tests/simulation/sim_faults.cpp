#include "simulation/sim_faults.h"

#include "tidegate/core/error.h"

namespace tidegate::sim {

namespace {

[[noreturn]] void storeFails(Retry retry, const char* what) { throw Error(ErrorCode::storeUnavailable, retry, what); }

void mustLive(const Mortal& owner) {
  if (owner.dead) storeFails(Retry::outcomeUnknown, "simulated: this process is dead");
}

}  // namespace

SimGatewayStore::SimGatewayStore(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace, Mutation mutation)
    : plan_(plan), random_(random), owner_(owner), trace_(trace), mutation_(mutation) {}

void SimGatewayStore::load(const Visitor& visit) {
  for (const auto& [ref, octets] : segments_) visit(ref, octets);
}

void SimGatewayStore::apply(std::span<const Segment> puts, std::span<const SegmentRef> drops) {
  for (const Segment& put : puts) segments_[put.ref] = std::string(put.octets);
  for (const SegmentRef& drop : drops) segments_.erase(drop);
  ++truth_.applied;
}

void SimGatewayStore::commit(std::span<const Segment> puts, std::span<const SegmentRef> drops) {
  ++truth_.refused;
  mustLive(owner_);
  const auto dice = owner_.faultsOn ? random_.below(100) : 99;
  if (plan_.storeFaults && dice < 4) {
    trace_.line("store", "commit fails, nothing changed");
    storeFails(Retry::later, "simulated: disk full");
  }
  if (plan_.gatewayCrashes && dice >= 4 && dice < 10) {
    owner_.dead = true;
    const bool kept = random_.chance(50);
    trace_.line("store", "the gateway dies {} its commit", kept ? "after" : "before");
    if (kept) apply(puts, drops), --truth_.refused;
    storeFails(Retry::outcomeUnknown, "simulated: crash at a commit");
  }
  if (plan_.gatewayCrashes && dice == 10) {
    const bool kept = random_.chance(50);
    trace_.line("store", "commit with unknown outcome, {}", kept ? "kept" : "not kept");
    if (kept) apply(puts, drops), --truth_.refused;
    storeFails(Retry::outcomeUnknown, "simulated: no answer from the disk");
  }
  if (mutation_ == Mutation::loseCommit && !losing_ && random_.chance(20)) {
    losing_ = true;
    kept_ = segments_;
  }
  apply(puts, drops);
  --truth_.refused;
  if (plan_.gatewayCrashes && owner_.faultsOn && random_.chance(2)) {
    trace_.line("store", "the gateway dies after an acknowledged commit");
    owner_.dead = true;
  }
}

void SimGatewayStore::crash() {
  if (!losing_) return;
  segments_ = std::move(kept_);
  losing_ = false;
}

SimStateStore::SimStateStore(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace)
    : plan_(plan), random_(random), owner_(owner), trace_(trace) {}

std::optional<std::string> SimStateStore::get(std::string_view key) {
  mustLive(owner_);
  const auto entry = entries_.find(key);
  return entry == entries_.end() ? std::nullopt : std::optional(entry->second);
}

void SimStateStore::put(std::string_view key, std::string_view octets) {
  mustLive(owner_);
  const auto dice = owner_.faultsOn ? random_.below(100) : 99;
  if (plan_.stateFaults && dice < 5) {
    trace_.line("state", "put fails");
    storeFails(Retry::later, "simulated: state not written");
  }
  if (plan_.pollerCrashes && dice >= 5 && dice < 10) {
    owner_.dead = true;
    const bool kept = random_.chance(50);
    trace_.line("state", "the poller dies {} a put", kept ? "after" : "before");
    if (kept) entries_[std::string(key)] = std::string(octets);
    storeFails(Retry::outcomeUnknown, "simulated: crash at a state put");
  }
  entries_[std::string(key)] = std::string(octets);
}

void SimStateStore::remove(std::string_view key) {
  mustLive(owner_);
  const auto entry = entries_.find(key);
  if (entry != entries_.end()) entries_.erase(entry);
}

/// Works on a copy; `commit` makes it the durable one.
class SimTableSnapshot final : public TableSnapshot {
 public:
  SimTableSnapshot(std::shared_ptr<SimSnapshotStore> store, std::shared_ptr<SimSnapshotStore::Rows> durable)
      : store_(std::move(store)), durable_(std::move(durable)), rows_(*durable_) {}

  void beginPoll() override { marked_.clear(); }

  Found mark(std::string_view rowId, std::string_view packed, std::string& before) override {
    mustLive(store_->owner_);
    if (!marked_.emplace(rowId).second) return Found::repeated;
    const auto row = rows_.find(rowId);
    if (row == rows_.end()) return Found::missing;
    if (row->second == packed) return Found::same;
    before = row->second;
    return Found::differs;
  }

  void visitUnmarked(const Visitor& visit) override {
    for (const auto& [rowId, packed] : rows_) {
      if (!marked_.contains(rowId)) visit(rowId, packed);
    }
  }

  void put(std::string_view rowId, std::string_view packed) override {
    rows_[std::string(rowId)] = std::string(packed);
  }
  void erase(std::string_view rowId) override {
    const auto row = rows_.find(rowId);
    if (row != rows_.end()) rows_.erase(row);
  }

  void commit() override {
    mustLive(store_->owner_);
    const auto dice = store_->owner_.faultsOn ? store_->random_.below(100) : 99;
    if (store_->plan_.stateFaults && dice < 5) {
      store_->trace_.line("snapshot", "commit fails, rolled back");
      rows_ = *durable_;
      storeFails(Retry::later, "simulated: snapshot not written");
    }
    if (store_->plan_.pollerCrashes && dice >= 5 && dice < 10) {
      store_->owner_.dead = true;
      const bool kept = store_->random_.chance(50);
      store_->trace_.line("snapshot", "the poller dies {} a commit", kept ? "after" : "before");
      if (kept) *durable_ = rows_;
      storeFails(Retry::outcomeUnknown, "simulated: crash at a snapshot commit");
    }
    *durable_ = rows_;
  }

  std::size_t rows() const override { return rows_.size(); }
  std::size_t bytes() const override {
    std::size_t total = 0;
    for (const auto& [rowId, packed] : rows_) total += rowId.size() + packed.size() + 64;
    return total;
  }

 private:
  std::shared_ptr<SimSnapshotStore> store_;
  std::shared_ptr<SimSnapshotStore::Rows> durable_;
  SimSnapshotStore::Rows rows_;
  std::set<std::string, std::less<>> marked_;
};

SimSnapshotStore::SimSnapshotStore(const Plan& plan, SimRandom random, Mortal& owner, Trace& trace)
    : plan_(plan), random_(random), owner_(owner), trace_(trace) {}

std::unique_ptr<TableSnapshot> SimSnapshotStore::open(std::string_view key) {
  mustLive(owner_);
  auto& rows = tables_[std::string(key)];
  if (!rows) rows = std::make_shared<Rows>();
  return std::make_unique<SimTableSnapshot>(shared_from_this(), rows);
}

}  // namespace tidegate::sim
