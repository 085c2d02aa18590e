// A push whose outcome the poller did not live to note: a row that changes back is changed back in the gateway too,
// though its cursor stays the same.
#include "source/source_rig.h"

namespace tidegate::test {
namespace {

/// Outlives restarts, counts what is written, and fails when told.
class DyingState final : public StateStore {
 public:
  bool dead = false;
  int puts = 0;

  std::optional<std::string> get(std::string_view key) override { return entries_.get(key); }
  void put(std::string_view key, std::string_view octets) override {
    if (dead) throw Error(ErrorCode::storeUnavailable, Retry::later, "it died");
    ++puts;
    entries_.put(key, octets);
  }
  void remove(std::string_view key) override { entries_.remove(key); }

 private:
  MemoryStateStore entries_;
};

struct Kind {
  const char* name;
  Value cursor;
};

/// One row, known to gateway and poller as 'old', whose cursor never changes.
struct CursorDoubt : testing::TestWithParam<Kind> {
  SqlSource source;
  PollRig rig{source.query,
              {.table = "t", .query = "SELECT * FROM t", .strategy = CursorStrategy{.cursorColumn = "at"}}};
  std::shared_ptr<DyingState> state = std::make_shared<DyingState>();

  void SetUp() override {
    rig.state = state;
    source.run("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, at)");
    source.run("INSERT INTO t VALUES (1, 'old', ?)", {GetParam().cursor});
    rig.pollWell();
    ASSERT_EQ(rig.pollWell().suppressed, 1u);
  }
  void name(const std::string& name) { source.run("UPDATE t SET name = ?", {name}); }
  Value held() { return rig.rows()["1"]["name"]; }

  /// The gateway accepts, and no save succeeds from then on.
  void pollAndDie() {
    rig.gateway.judge = [this](const SyncPush&) {
      state->dead = true;
      return PushStatus::accepted;
    };
    rig.pollBadly();
    revive();
    rig.restart();
  }
  /// The gateway accepts, but its answer is lost.
  void pollUnanswered() {
    rig.gateway.judge = [this](const SyncPush& push) -> PushStatus {
      for (const RowDelta& delta : push.deltas) rig.gateway.apply(delta);
      throw Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "no answer");
    };
    rig.pollBadly();
    revive();
  }
  void revive() {
    state->dead = false;
    rig.gateway.judge = [](const SyncPush&) { return PushStatus::accepted; };
  }
};

TEST_P(CursorDoubt, ARowThatChangesBackAfterALostAnswerIsChangedBackInTheGateway) {
  name("new");
  pollUnanswered();
  ASSERT_EQ(held(), Value("new"));
  name("old");
  rig.pollWell();
  EXPECT_EQ(held(), Value("old"));
}

TEST_P(CursorDoubt, ARowThatChangesBackAfterACrashIsChangedBackInTheGateway) {
  name("new");
  pollAndDie();
  ASSERT_EQ(held(), Value("new"));
  name("old");
  rig.pollWell();
  EXPECT_EQ(held(), Value("old"));
}

TEST_P(CursorDoubt, APushWaitsUntilTheOldFingerprintIsForgottenInTheSavedState) {
  name("new");
  state->dead = true;
  rig.pollBadly();
  EXPECT_EQ(held(), Value("old"));
  rig.pollBadly();  // known to be in doubt in memory by now, but still not in the saved state
  EXPECT_EQ(held(), Value("old"));
  revive();
  pollAndDie();
  ASSERT_EQ(held(), Value("new"));
  name("old");
  rig.pollWell();
  EXPECT_EQ(held(), Value("old"));
}

TEST_P(CursorDoubt, ARowThatLeftTheWindowAndCameBackIsInDoubtInTheSavedStateToo) {
  source.run("DELETE FROM t");
  state->dead = true;
  rig.pollBadly();  // its fingerprint is dropped in memory; the saved state keeps it
  revive();
  source.run("INSERT INTO t VALUES (1, 'new', ?)", {GetParam().cursor});
  pollAndDie();
  ASSERT_EQ(held(), Value("new"));
  name("old");
  rig.pollWell();
  EXPECT_EQ(held(), Value("old"));
}

TEST_P(CursorDoubt, ARowThatLosesOrGainsItsCursorAndChangesBackIsChangedBackInTheGateway) {
  const Value other = GetParam().cursor.isNull() ? Value(std::int64_t{7}) : Value();
  source.run("UPDATE t SET name = 'new', at = ?", {other});
  pollAndDie();
  ASSERT_EQ(held(), Value("new"));
  source.run("UPDATE t SET name = 'old', at = ?", {GetParam().cursor});
  rig.pollWell();
  EXPECT_EQ(held(), Value("old"));
}

TEST_P(CursorDoubt, AStatePutAsideIsNotFoundAgainAfterAPushThatWasNotNoted) {
  auto& query = rig.config.tables[0].query;
  rig.restart();
  query = "SELECT id, upper(name) AS name, at FROM t";
  pollAndDie();
  ASSERT_EQ(held(), Value("OLD"));
  query = "SELECT * FROM t";
  rig.pollWell();
  EXPECT_EQ(held(), Value("old"));
}

TEST_P(CursorDoubt, NewRowsNeedNoSaveBeforeTheirPush) {
  source.run("INSERT INTO t VALUES (2, 'more', ?)", {GetParam().cursor});
  int before = -1;
  rig.gateway.judge = [&](const SyncPush&) {
    before = state->puts;
    return PushStatus::accepted;
  };
  const int start = state->puts;
  EXPECT_EQ(rig.pollWell().inserts, 1u);
  EXPECT_EQ(before, start);
}

INSTANTIATE_TEST_SUITE_P(Cursors, CursorDoubt,
                         testing::Values(Kind{"Null", Value()}, Kind{"Time", Value("2024-05-01 10:00:00")},
                                         Kind{"Integer", Value(std::int64_t{5})}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace tidegate::test
