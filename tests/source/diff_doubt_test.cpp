// A push whose outcome the poller did not live to note: whatever the row does next, the gateway follows.
#include "source/source_rig.h"

namespace tidegate::test {
namespace {

/// Holds its rows over restarts, and dies at a commit when told.
class DyingSnapshots final : public SnapshotStore {
 public:
  using Table = std::map<std::string, std::string, std::less<>>;
  Table durable;
  int commitsLeft = 1'000;

  std::unique_ptr<TableSnapshot> open(std::string_view) override { return std::make_unique<Snapshot>(*this); }

 private:
  class Snapshot final : public TableSnapshot {
   public:
    explicit Snapshot(DyingSnapshots& store) : store_(store), rows_(store.durable) {}
    void beginPoll() override { marked_.clear(); }
    Found mark(std::string_view rowId, std::string_view packed, std::string& before) override {
      if (marked_[std::string(rowId)]++ > 0) return Found::repeated;
      const auto row = rows_.find(rowId);
      if (row == rows_.end()) return Found::missing;
      before = row->second;
      return before == packed ? Found::same : Found::differs;
    }
    void visitUnmarked(const Visitor& visit) override {
      for (const auto& [rowId, packed] : Table(rows_)) {
        if (marked_.count(rowId) == 0) visit(rowId, packed);
      }
    }
    void put(std::string_view rowId, std::string_view packed) override { rows_[std::string(rowId)] = packed; }
    void erase(std::string_view rowId) override { rows_.erase(std::string(rowId)); }
    void commit() override {
      if (store_.commitsLeft-- <= 0) throw Error(ErrorCode::storeUnavailable, Retry::outcomeUnknown, "it died");
      store_.durable = rows_;
    }
    std::size_t rows() const override { return rows_.size(); }
    std::size_t bytes() const override { return 0; }

   private:
    DyingSnapshots& store_;
    Table rows_;
    std::map<std::string, int> marked_;
  };
};

struct DiffDoubt : testing::Test {
  SqlSource source;
  PollRig rig{source.query, {.table = "log", .query = "SELECT * FROM log", .strategy = DiffStrategy{}}};
  std::shared_ptr<DyingSnapshots> snapshots = std::make_shared<DyingSnapshots>();

  void SetUp() override {
    source.run("CREATE TABLE log (id INTEGER PRIMARY KEY, a TEXT, b TEXT)");
    source.run("INSERT INTO log VALUES (1, 'x', 'y')");
    rig.snapshots = snapshots;
    rig.pollWell();
  }
  /// The gateway accepts, and the poller dies before its snapshot has taken it in.
  void pollAndDie() {
    snapshots->commitsLeft = 1;
    rig.pollBadly();
    snapshots->commitsLeft = 1'000;
    rig.restart();
  }
};

TEST_F(DiffDoubt, ARowThatChangesBackAfterACrashIsChangedBackInTheGateway) {
  source.run("UPDATE log SET a = 'z'");
  pollAndDie();
  ASSERT_EQ(rig.gateway.tables["log"]["1"]["a"], Value("z"));
  source.run("UPDATE log SET a = 'x'");
  rig.pollWell();
  EXPECT_EQ(rig.gateway.tables["log"]["1"]["a"], Value("x"));
}

TEST_F(DiffDoubt, ARowThatIsDeletedAfterACrashIsErased) {
  source.run("INSERT INTO log VALUES (2, 'x', 'y')");
  pollAndDie();
  source.run("DELETE FROM log WHERE id = 2");
  rig.pollWell();
  EXPECT_EQ(rig.gateway.tables["log"].count("2"), 0u);
}

TEST_F(DiffDoubt, ARowThatComesBackAfterACrashComesBackWhole) {
  source.run("DELETE FROM log");
  pollAndDie();
  source.run("INSERT INTO log VALUES (1, 'x', 'new')");
  rig.pollWell();
  EXPECT_EQ(rig.gateway.tables["log"]["1"], (MapGateway::Row{{"a", Value("x")}, {"b", Value("new")}}));
}

TEST_F(DiffDoubt, APushThatWasNeverAnsweredIsInDoubtInMemoryToo) {
  rig.snapshots = memorySnapshotStore();
  rig.restart();
  rig.pollWell();
  source.run("UPDATE log SET a = 'z'");
  rig.gateway.judge = [&](const SyncPush& push) -> PushStatus {
    for (const RowDelta& delta : push.deltas) rig.gateway.apply(delta);
    throw Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "no answer");
  };
  rig.pollBadly();
  rig.gateway.judge = [](const SyncPush&) { return PushStatus::accepted; };
  source.run("UPDATE log SET a = 'x'");
  rig.pollWell();
  EXPECT_EQ(rig.gateway.tables["log"]["1"]["a"], Value("x"));
}

}  // namespace
}  // namespace tidegate::test
