#include "tidegate/gateway/messages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate {
namespace {

using ::testing::HasSubstr;

RowDelta sampleDelta() {
  RowDelta d;
  d.op = DeltaOp::insert;
  d.table = "users";
  d.rowId = "7";
  d.clientId = "phone-7";
  d.columns = {{"name", "Ann"}, {"visits", std::int64_t{9007199254740993}}, {"left", Null{}}};
  d.hlc = Hlc{111411200000000123};
  d.deltaId = computeDeltaId(d);
  return d;
}

std::string refusedPush(const std::string& json) {
  try {
    pushFromJson(json);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    return e.message();
  }
  ADD_FAILURE() << "taken: " << json;
  return {};
}

bool equalPushes(const SyncPush& a, const SyncPush& b) {
  return a.clientId == b.clientId && a.deltas == b.deltas && a.lastSeenHlc == b.lastSeenHlc;
}

TEST(Messages, APushHasTheWireFormOfTheSyncApi) {
  const RowDelta d = sampleDelta();
  const SyncPush push{"phone-7", {d}, Hlc{5}};
  EXPECT_EQ(toJson(push), R"({"clientId":"phone-7","deltas":[)" + toJson(d) + R"(],"lastSeenHlc":"5"})");
  EXPECT_THAT(toJson(push), HasSubstr(R"("hlc":"111411200000000123")"));
  EXPECT_THAT(toJson(push), HasSubstr("9007199254740993"));
  EXPECT_THAT(toJson(push), HasSubstr(R"("op":"INSERT")"));
  EXPECT_TRUE(equalPushes(pushFromJson(toJson(push)), push));
}

TEST(Messages, APushIsReadFromLakeSyncsOwnJson) {
  const SyncPush push = pushFromJson(R"({"clientId": "c", "lastSeenHlc": "0", "extra": {"a": [1]}, "deltas": [
      {"op": "UPDATE", "table": "t", "rowId": "r", "clientId": "c", "hlc": "18446744073709551615", "new": 1,
       "columns": [{"column": "n", "value": 18446744073709551615}, {"column": "d", "value": {"b": [1, null]}}],
       "deltaId": "0000000000000000000000000000000000000000000000000000000000000001"}]})");
  ASSERT_EQ(push.deltas.size(), 1u);
  EXPECT_EQ(push.deltas[0].hlc.raw, UINT64_MAX);
  EXPECT_TRUE(push.deltas[0].columns[0].value == Value(UINT64_MAX));
  EXPECT_EQ(push.deltas[0].columns[1].value.kind(), ValueKind::json);
  EXPECT_EQ(push.deltas[0].deltaId.octets[31], 1);
  EXPECT_EQ(pushFromJson(R"({"clientId":"c","deltas":[]})").lastSeenHlc.raw, 0u) << "may be missing: it only informs";
}

TEST(Messages, NumbersOfEverySizeSurviveTheWire) {
  for (const Value& v :
       std::vector<Value>{1e20, -1e20, 18446744073709552000.0, 1e21, 5e-324, -0.0, UINT64_MAX, INT64_MIN}) {
    SyncPush push{"c", {sampleDelta()}, {}};
    push.deltas[0].columns = {{"n", v}};
    const Value again = pushFromJson(toJson(push)).deltas[0].columns[0].value;
    EXPECT_TRUE(sameValue(again, v) || v == Value(-0.0)) << describe(v);
    EXPECT_EQ(toJson(again), toJson(v));
  }
}

TEST(Messages, OneMalformedDeltaIsNamedAndNothingElseHappens) {  // the reference process died of it
  const std::string good = toJson(sampleDelta());
  const auto pushWith = [&](const std::string& delta) {
    return R"({"clientId":"c","deltas":[)" + good + "," + good + "," + good + "," + delta + R"(],"lastSeenHlc":"0"})";
  };
  const auto mangled = [&](const std::string& from, const std::string& to) {
    std::string delta = good;
    delta.replace(delta.find(from), from.size(), to);
    return pushWith(delta);
  };
  EXPECT_THAT(refusedPush(mangled(R"("hlc":"111411200000000123")", R"("hlc":"x")")), HasSubstr("deltas[3].hlc"));
  EXPECT_THAT(refusedPush(mangled(R"("hlc":"111411200000000123")", R"("hlc":1.5)")), HasSubstr("deltas[3].hlc"));
  EXPECT_THAT(refusedPush(mangled(R"("hlc":"111411200000000123")", R"("hlc":"-1")")), HasSubstr("deltas[3].hlc"));
  EXPECT_THAT(refusedPush(mangled(R"("hlc":"111411200000000123")", R"("hlc":"18446744073709551616")")),
              HasSubstr("deltas[3].hlc"));
  EXPECT_THAT(refusedPush(mangled("INSERT", "insert")), HasSubstr("deltas[3].op"));
  EXPECT_THAT(refusedPush(mangled(R"("table":"users")", R"("table":7)")), HasSubstr("deltas[3].table"));
  EXPECT_THAT(refusedPush(mangled(R"("rowId":"7",)", "")), HasSubstr("deltas[3].rowId"));
  EXPECT_THAT(refusedPush(mangled(R"("column":"visits")", R"("column":null)")),
              HasSubstr("deltas[3].columns[1].column"));
  EXPECT_THAT(refusedPush(pushWith("null")), HasSubstr("deltas[3]"));
  EXPECT_THAT(refusedPush(pushWith("[]")), HasSubstr("deltas[3]"));
  EXPECT_THAT(refusedPush(pushWith(std::string(100'000, '['))), HasSubstr(""));
}

TEST(Messages, AMissingOrMistypedMemberIsNamed) {
  EXPECT_THAT(refusedPush(R"({"deltas":[]})"), HasSubstr("clientId"));
  EXPECT_THAT(refusedPush(R"({"clientId":1,"deltas":[]})"), HasSubstr("clientId"));
  EXPECT_THAT(refusedPush(R"({"clientId":"c"})"), HasSubstr("deltas"));
  EXPECT_THAT(refusedPush(R"({"clientId":"c","deltas":{}})"), HasSubstr("deltas"));
  EXPECT_THAT(refusedPush(R"({"clientId":"c","deltas":[],"lastSeenHlc":"now"})"), HasSubstr("lastSeenHlc"));
  refusedPush("");
  refusedPush("[]");
  refusedPush(R"({"clientId":"c","deltas":[]} trailing)");
  EXPECT_THROW(pullFromJson(R"({"clientId":"c","sinceHlc":7.5})"), Error);
  EXPECT_THROW(pullFromJson(R"({"clientId":"c","sinceHlc":"7","maxDeltas":-1})"), Error);
  EXPECT_THROW(pullFromJson(R"({"clientId":"c","sinceHlc":"7","maxDeltas":1.5})"), Error);
  EXPECT_THROW(pullFromJson(R"({"clientId":"c"})"), Error);
  EXPECT_THROW(pushResultFromJson(R"({"serverHlc":"1","status":"maybe"})"), Error);
  EXPECT_THROW(pushResultFromJson(R"({"serverHlc":"1","verdicts":[{"verdict":"odd"}]})"), Error);
  EXPECT_THROW(pullResultFromJson(R"({"deltas":[],"hasMore":false})"), Error);
  EXPECT_THROW(pullResultFromJson(R"({"deltas":[],"serverHlc":"1","hasMore":"no"})"), Error);
}

TEST(Messages, APullGoesThereAndBack) {
  const SyncPull pull{"c \"1\"", Hlc{UINT64_MAX}, 1'000};
  EXPECT_EQ(toJson(pull), R"({"clientId":"c \"1\"","sinceHlc":"18446744073709551615","maxDeltas":1000})");
  const SyncPull again = pullFromJson(toJson(pull));
  EXPECT_EQ(again.clientId, pull.clientId);
  EXPECT_EQ(again.sinceHlc, pull.sinceHlc);
  EXPECT_EQ(again.maxDeltas, pull.maxDeltas);
  EXPECT_EQ(pullFromJson(R"({"clientId":"c","sinceHlc":"0"})").maxDeltas, SyncPull{}.maxDeltas);
}

TEST(Messages, APushResultCarriesLakeSyncsMembersAndTheVerdicts) {
  PushResult result;
  result.serverHlc = Hlc{9};
  result.verdicts = {{Verdict::applied, ""}, {Verdict::duplicate, ""}};
  result.applied = 1;
  result.duplicates = 1;
  EXPECT_EQ(toJson(result),
            R"({"serverHlc":"9","accepted":2,"status":"accepted","applied":1,"duplicates":1,"noEffect":0,)"
            R"("verdicts":[{"verdict":"applied"},{"verdict":"duplicate"}]})");
  PushResult refused;
  refused.status = PushStatus::rejected;
  refused.message = "deltas[1]: its stamp is ahead";
  refused.verdicts = {{Verdict::notApplied, ""}, {Verdict::clockDrift, "set the clock"}};
  for (const PushResult& r : {result, refused}) {
    const PushResult again = pushResultFromJson(toJson(r));
    EXPECT_EQ(toJson(again), toJson(r));
    EXPECT_EQ(again.status, r.status);
    EXPECT_EQ(again.accepted(), r.accepted());
    EXPECT_EQ(again.message, r.message);
    ASSERT_EQ(again.verdicts.size(), 2u);
    EXPECT_EQ(again.verdicts[1].verdict, r.verdicts[1].verdict);
    EXPECT_EQ(again.verdicts[1].message, r.verdicts[1].message);
  }
  EXPECT_EQ(pushResultFromJson(R"({"serverHlc":"9","accepted":3,"deltas":[]})").serverHlc.raw, 9u);
}

TEST(Messages, APullResultSaysResyncOnlyWhereItMust) {
  PullResult page;
  page.deltas = {sampleDelta()};
  page.serverHlc = Hlc{12};
  page.hasMore = true;
  EXPECT_EQ(toJson(page), R"({"deltas":[)" + toJson(sampleDelta()) + R"(],"serverHlc":"12","hasMore":true})");
  PullResult behind;
  behind.serverHlc = Hlc{3};
  behind.mustResync = true;
  behind.reason = "the log begins later";
  EXPECT_EQ(toJson(behind),
            R"({"deltas":[],"serverHlc":"3","hasMore":false,"mustResync":true,"reason":"the log begins later"})");
  for (const PullResult& r : {page, behind}) {
    const PullResult again = pullResultFromJson(toJson(r));
    EXPECT_EQ(toJson(again), toJson(r));
    EXPECT_TRUE(again.deltas == r.deltas);
    EXPECT_EQ(again.mustResync, r.mustResync);
  }
}

TEST(Messages, EveryStatusAndVerdictHasItsOwnName) {
  EXPECT_EQ(toString(PushStatus::backPressure), "backPressure");
  EXPECT_EQ(toString(Verdict::tooOld), "tooOld");
  EXPECT_EQ(toString(Verdict::schemaMismatch), "schemaMismatch");
  EXPECT_EQ(toString(Verdict::wrongClient), "wrongClient");
  EXPECT_EQ(toString(static_cast<Verdict>(200)), "unknown");
}

TEST(MessagesProperty, RandomPushesGoThereAndBackAndBrokenOnesNeverDoMoreThanThrow) {
  for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    const std::vector<Value> values{Null{}, true, std::int64_t{INT64_MIN}, UINT64_MAX, 0.1,
                                    -1e300, "",   "a\"\\\n\x01",           "é😀",       Json{R"({"a":[1,2]})"}};
    SyncPush push{"c" + std::to_string(random() % 9), {}, Hlc{random()}};
    for (std::uint64_t n = random() % 4; n > 0; --n) {
      RowDelta d{
          static_cast<DeltaOp>(random() % 3), "t", std::to_string(random()), push.clientId, {}, Hlc{random()}, {}};
      for (std::uint64_t c = d.op == DeltaOp::erase ? 0 : random() % 4; c > 0; --c) {
        d.columns.push_back({"c" + std::to_string(c), values[random() % values.size()]});
      }
      d.deltaId = computeDeltaId(d);
      push.deltas.push_back(std::move(d));
    }
    std::string json = toJson(push);
    ASSERT_TRUE(equalPushes(pushFromJson(json), push)) << json;
    for (int i = 0; i < 5; ++i) {
      std::string broken = json;
      broken[random() % broken.size()] = static_cast<char>(random() % 256);
      if (random() % 2 == 0) broken.resize(random() % broken.size());
      try {
        const SyncPush again = pushFromJson(broken);
        ASSERT_EQ(toJson(pushFromJson(toJson(again))), toJson(again)) << broken;
      } catch (const Error& e) {
        ASSERT_EQ(e.code(), ErrorCode::parseError) << broken;
      }
    }
  }
}

}  // namespace
}  // namespace tidegate
