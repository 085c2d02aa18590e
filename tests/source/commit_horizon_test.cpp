#include <gmock/gmock.h>

#include "source/source_rig.h"

namespace tidegate::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::int64_t kNow = 1'700'000'000'000'000;

/// A server with one table of (id, updated_at), and what it says of open transactions.
struct HorizonSource : ScriptedSource {
  std::int64_t now = kNow, age = 0, hidden = 0, prepared = 0;
  std::vector<Value> cursors;
  std::optional<Error> horizonError;
  std::vector<Value> asksFrom;

  HorizonSource() {
    answer = [this](const Query& q) {
      if (q.sql.find("age_micros") != std::string::npos) {
        if (horizonError) throw *horizonError;
        return resultOf({"now_micros", "age_micros", "hidden", "prepared"}, {{now, age, hidden, prepared}});
      }
      if (q.sql.find("IS NULL") != std::string::npos) return resultOf({"id", "updated_at"}, {});
      asksFrom.push_back(q.params.empty() ? Value() : q.params[0]);
      Rows rows;
      for (std::size_t i = 0; i < cursors.size(); ++i) rows.push_back({static_cast<int>(i), cursors[i]});
      return resultOf({"id", "updated_at"}, std::move(rows));
    };
  }
};

IngestTableConfig horizonTable() {
  return {.table = "users",
          .query = "SELECT * FROM users",
          .strategy = CursorStrategy{.cursorColumn = "updated_at", .commitHorizon = true}};
}

TEST(CommitHorizon, TheWindowNeverPassesTheStartOfTheOldestOpenTransaction) {
  HorizonSource source;
  source.cursors = {Timestamp::utc(kNow)};
  source.age = 3'600'000'000;
  PollRig rig(source.query(), horizonTable());
  rig.pollWell();
  rig.pollWell();
  ASSERT_EQ(source.asksFrom.size(), 2u);
  EXPECT_TRUE(source.asksFrom[1] == Value(Timestamp::utc(kNow - 3'605'000'000)));
}

TEST(CommitHorizon, ARowStampedAheadByItsWriterDoesNotPullTheWindowPastTheTransaction) {
  HorizonSource source;
  source.cursors = {Timestamp::utc(kNow + 86'400'000'000)};
  source.age = 1'000'000;
  PollRig rig(source.query(), horizonTable());
  rig.pollWell();
  rig.pollWell();
  EXPECT_TRUE(source.asksFrom[1] == Value(Timestamp::utc(kNow - 6'000'000)));
}

TEST(CommitHorizon, ATimestampWithoutZoneIsHeldBackByAgeSoThatNoZoneMatters) {
  HorizonSource source;
  const std::int64_t elsewhere = kNow - 7 * 3'600'000'000LL;  // the writer's wall clock, seven hours west
  source.cursors = {Timestamp::local(elsewhere)};
  source.age = 60'000'000;
  PollRig rig(source.query(), horizonTable());
  rig.pollWell();
  rig.pollWell();
  EXPECT_TRUE(source.asksFrom[1] == Value(Timestamp::local(elsewhere - 65'000'000)));
}

TEST(CommitHorizon, TheWindowMovesOnOnceTheTransactionHasEnded) {
  HorizonSource source;
  source.cursors = {Timestamp::utc(kNow)};
  source.age = 3'600'000'000;
  PollRig rig(source.query(), horizonTable());
  rig.pollWell();
  source.age = 0;
  rig.pollWell();
  rig.pollWell();
  EXPECT_TRUE(source.asksFrom[2] == Value(Timestamp::utc(kNow - 5'000'000)));
}

TEST(CommitHorizon, APreparedTransactionHoldsTheWindowWhereItWas) {
  HorizonSource source;
  source.cursors = {Timestamp::utc(kNow)};
  PollRig rig(source.query(), horizonTable());
  rig.pollWell();
  source.prepared = 1;
  source.now += 60'000'000;
  source.cursors = {Timestamp::utc(kNow + 60'000'000)};
  rig.pollWell();
  rig.pollWell();
  EXPECT_TRUE(source.asksFrom[2] == source.asksFrom[1]);
  EXPECT_THAT(rig.observer->warnings, testing::Contains(HasSubstr("prepared transaction")));
}

TEST(CommitHorizon, HiddenSessionsFailThePollWithTheGrantThatMendsIt) {
  HorizonSource source;
  source.hidden = 2;
  PollRig rig(source.query(), horizonTable());
  EXPECT_THAT(rig.pollBadly(), testing::AllOf(HasSubstr("permissionDenied"), HasSubstr("GRANT pg_read_all_stats")));
  EXPECT_TRUE(rig.gateway.log.empty());
}

TEST(CommitHorizon, AMissingProcessPrivilegeFailsThePollWithItsGrant) {
  HorizonSource source;
  source.dialect = Dialect::mysql;
  source.horizonError = Error(ErrorCode::queryFailed, Retry::never, "Access denied; you need the PROCESS privilege");
  PollRig rig(source.query(), horizonTable());
  EXPECT_THAT(rig.pollBadly(), testing::AllOf(HasSubstr("permissionDenied"), HasSubstr("GRANT PROCESS ON *.*")));
}

TEST(CommitHorizon, AnIntegerCursorIsRefused) {
  HorizonSource source;
  source.cursors = {7};
  PollRig rig(source.query(), horizonTable());
  EXPECT_THAT(rig.pollBadly(), testing::AllOf(HasSubstr("commitHorizon"), HasSubstr("lookbackRows")));
}

TEST(CommitHorizon, SqliteNeedsNone) {
  PollRig rig(SqlSource().query, horizonTable());
  try {
    validate(rig.config);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::AllOf(HasSubstr("table \"users\""), HasSubstr("commitHorizon")));
  }
}

}  // namespace
}  // namespace tidegate::test
