#include <gmock/gmock.h>

#include "server/sync_rig.h"

namespace tidegate::server {
namespace {

using test::deltaNow;
using test::jsonOf;
using test::SyncRig;
using ::testing::HasSubstr;

/// As LakeSync's HttpTransport writes a push: the members' order of its SyncPush, stamps as decimal strings.
std::string pushAsItsClientWritesIt(const RowDelta& d) {
  nlohmann::ordered_json columns = nlohmann::ordered_json::array();
  for (const ColumnValue& c : d.columns) {
    columns.push_back({{"column", c.column}, {"value", nlohmann::ordered_json::parse(toJson(c.value))}});
  }
  return nlohmann::ordered_json{{"clientId", d.clientId},
                                {"deltas",
                                 {{{"op", std::string(toString(d.op))},
                                   {"table", d.table},
                                   {"rowId", d.rowId},
                                   {"clientId", d.clientId},
                                   {"columns", columns},
                                   {"hlc", d.hlc.text()},
                                   {"deltaId", d.deltaId.hex()}}}},
                                {"lastSeenHlc", d.hlc.text()}}
      .dump();
}

TEST(SyncHttp, TakesAPushAsLakeSyncsClientWritesItAndGivesItToAnother) {
  SyncRig rig;
  const RowDelta delta = deltaNow(rig.gateway, "phone", "1", {{"title", "Milk"}, {"done", false}});
  const auto pushed = rig.ask("POST", "/v1/sync/main/push", "client:phone", pushAsItsClientWritesIt(delta),
                              {{"content-type", "application/json"}});
  ASSERT_EQ(pushed.status, 200) << pushed.body;
  EXPECT_EQ(jsonOf(pushed)["accepted"], 1);
  EXPECT_TRUE(jsonOf(pushed)["serverHlc"].is_string());
  EXPECT_EQ(pushed.headers.get("api-version"), "v1");
  EXPECT_EQ(pushed.headers.get("cache-control"), "no-store");

  const auto page = rig.pull("client:desk", "since=0&clientId=desk&limit=1000");
  ASSERT_EQ(page.status, 200) << page.body;
  const auto body = jsonOf(page);
  ASSERT_EQ(body["deltas"].size(), 1u);
  EXPECT_EQ(body["deltas"][0]["rowId"], "1");
  EXPECT_EQ(body["deltas"][0]["hlc"], delta.hlc.text());
  EXPECT_EQ(body["deltas"][0]["deltaId"], delta.deltaId.hex());
  EXPECT_EQ(body["hasMore"], false);
  const std::string next = body["serverHlc"];
  EXPECT_EQ(jsonOf(rig.pull("client:desk", "since=" + next + "&clientId=desk"))["deltas"].size(), 0u);
}

TEST(SyncHttp, APushAnswersWithWhatTheClientMayPullFromSoThatItMissesNothing) {
  SyncRig rig;
  rig.push("client:phone", {"phone", {deltaNow(rig.gateway, "phone", "1", {{"a", 1}})}, {}});
  const std::string reached = jsonOf(rig.pull("client:desk", "since=0&clientId=desk"))["serverHlc"];
  rig.push("client:phone", {"phone", {deltaNow(rig.gateway, "phone", "2", {{"a", 2}})}, {}});
  // LakeSync's client takes this for its place in the log: row 2 lies after it.
  const auto pushed = jsonOf(rig.push("client:desk", {"desk", {deltaNow(rig.gateway, "desk", "3", {{"a", 3}})}, {}}));
  EXPECT_EQ(pushed["serverHlc"], reached);
  EXPECT_GT(Hlc::parse(pushed["logHlc"].get<std::string>())->raw, Hlc::parse(reached)->raw);
  const auto page = jsonOf(rig.pull("client:desk", "since=" + reached + "&clientId=desk"));
  ASSERT_EQ(page["deltas"].size(), 2u);
  EXPECT_EQ(page["deltas"][0]["rowId"], "2");
}

TEST(SyncHttp, AClientIsOnlyWhoItsTokenSays) {
  SyncRig rig;
  const SyncPush desk{"desk", {deltaNow(rig.gateway, "desk", "1", {{"a", 1}})}, {}};
  const auto refused = rig.push("client:phone", desk);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(jsonOf(refused)["code"], "FORBIDDEN");
  EXPECT_EQ(rig.pull("client:phone", "since=0&clientId=desk").status, 403);
  EXPECT_EQ(rig.push("client:phone;client_id=tablet;client_id=desk", desk).status, 200);
  EXPECT_EQ(rig.push("client:", {"", {}, {}}).status, 403) << "no subject is nobody's id";
  EXPECT_EQ(rig.push("admin:root", desk).status, 200);
  // A delta within is not another's either.
  const auto smuggled = rig.push("client:phone", {"phone", {deltaNow(rig.gateway, "desk", "1", {{"a", 2}})}, {}});
  EXPECT_EQ(smuggled.status, 403);
  EXPECT_EQ(jsonOf(smuggled)["refused"][0]["verdict"], "wrongClient");
}

TEST(SyncHttp, ATokenForOneGatewayIsRefusedAtAnother) {
  SyncRig rig;
  EXPECT_EQ(rig.pull("client:a;gw=main", "since=0&clientId=a").status, 200);
  EXPECT_EQ(rig.pull("client:a;gw=main", "since=0&clientId=a", "other").status, 403);
  EXPECT_EQ(rig.pull("client:a;gw=main", "since=0&clientId=a", "nowhere").status, 403) << "it does not learn of it";
  EXPECT_EQ(rig.pull("client:a", "since=0&clientId=a", "nowhere").status, 404);
  EXPECT_EQ(rig.ask("GET", "/v1/admin/metrics/other", "admin:r;gw=main").status, 403);
  SyncRig strict({.requireGatewayClaim = true});
  EXPECT_EQ(strict.pull("client:a", "since=0&clientId=a").status, 403);
  EXPECT_EQ(strict.pull("client:a;gw=main", "since=0&clientId=a").status, 200);
  EXPECT_EQ(strict.ask("GET", "/v1/admin/metrics/main", "admin:r").status, 200);
}

TEST(SyncHttp, RefusesAPushOfTooManyDeltasWhole) {
  SyncRig rig;
  SyncPush push{"a", std::vector<RowDelta>(10'001, deltaNow(rig.gateway, "a", "1", {{"n", 1}})), {}};
  const auto answer = rig.ask("POST", "/v1/sync/main/push", "client:a", toJson(push));
  EXPECT_EQ(answer.status, 400) << answer.body;
  EXPECT_NE(answer.body.find("several pushes"), std::string::npos) << answer.body;
  EXPECT_EQ(rig.gateway.stats().rows, 0u);
}

TEST(SyncHttp, AnswersEachFaultWithItsStatusAndCode) {
  SyncRig rig({.maxPushBytes = 4'000});
  rig.gateway.setSchema({"todos", {{.name = "n", .kind = ValueKind::int64}}, {}});
  const auto pushOf = [&](std::vector<ColumnValue> columns) {
    return toJson(SyncPush{"a", {deltaNow(rig.gateway, "a", "1", std::move(columns))}, {}});
  };
  RowDelta ahead = deltaNow(rig.gateway, "a", "1", {{"n", 1}});
  ahead.hlc = Hlc::of(ahead.hlc.millis() + 3'600'000);
  ahead.deltaId = computeDeltaId(ahead);
  RowDelta forged = deltaNow(rig.gateway, "a", "1", {{"n", 1}});
  forged.deltaId.octets[0] ^= 1;
  const std::vector<std::tuple<std::string, int, std::string>> cases{
      {"{", 400, "VALIDATION_ERROR"},
      {"[]", 400, "VALIDATION_ERROR"},
      {R"({"deltas":[]})", 400, "VALIDATION_ERROR"},
      {R"({"clientId":"a"})", 400, "VALIDATION_ERROR"},
      {R"({"clientId":"a","deltas":[{"op":"UPSERT"}]})", 400, "VALIDATION_ERROR"},
      {toJson(SyncPush{"a", {forged}, {}}), 400, "VALIDATION_ERROR"},
      {toJson(SyncPush{"a", {ahead}, {}}), 409, "CLOCK_DRIFT"},
      {pushOf({{"n", "text"}}), 422, "SCHEMA_ERROR"},
      {pushOf({{"n", std::string(5'000, 'x')}}), 413, "VALIDATION_ERROR"}};
  for (const auto& [body, status, code] : cases) {
    const auto answer = rig.ask("POST", "/v1/sync/main/push", "client:a", body);
    EXPECT_EQ(answer.status, status) << body << " " << answer.body;
    const auto json = jsonOf(answer);
    EXPECT_EQ(json["code"], code) << body;
    EXPECT_FALSE(json["error"].get<std::string>().empty());
    EXPECT_EQ(json["status"], status);
  }
  for (const char* query :
       {"clientId=a", "since=0", "since=x&clientId=a", "since=-1&clientId=a", "since=0&clientId=a&limit=0",
        "since=0&clientId=a&limit=1x", "since=99999999999999999999&clientId=a"}) {
    EXPECT_EQ(rig.pull("client:a", query).status, 400) << query;
  }
  EXPECT_EQ(jsonOf(rig.pull("client:a", "since=0&clientId=a&source=x"))["code"], "NOT_FOUND");
  EXPECT_EQ(rig.gateway.stats().rows, 0u);
}

TEST(SyncHttp, BackPressureIs503AndSaysWhenToComeBack) {
  GatewayOptions small;
  small.limits.maxBufferBytes = 1;
  SyncRig rig({}, {}, std::move(small));
  const auto answer = rig.push("client:a", {"a", {deltaNow(rig.gateway, "a", "1", {{"n", 1}})}, {}});
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(jsonOf(answer)["code"], "BACKPRESSURE_ERROR");
  EXPECT_EQ(answer.headers.get("retry-after"), "1");
}

TEST(SyncHttp, PullsInPagesAndFromASource) {
  SyncRig rig;
  for (int i = 0; i < 25; ++i) {
    rig.gateway.handlePush({"a", {deltaNow(rig.gateway, "a", std::to_string(i), {{"n", i}})}, {}});
  }
  rig.crm.handlePush({"i", {deltaNow(rig.crm, "i", "c1", {{"n", 1}})}, {}});
  std::string since = "0";
  std::size_t got = 0, pages = 0;
  for (bool more = true; more; ++pages) {
    const auto page = jsonOf(rig.pull("client:b", "clientId=b&limit=10&since=" + since));
    got += page["deltas"].size();
    since = page["serverHlc"];
    more = page["hasMore"];
  }
  EXPECT_EQ(got, 25u);
  EXPECT_EQ(pages, 3u);
  EXPECT_EQ(jsonOf(rig.pull("client:b", "clientId=b&since=0&limit=999999999999999999999"))["deltas"].size(), 25u);
  const auto fromCrm = jsonOf(rig.pull("client:b", "clientId=b&since=0&source=crm"));
  ASSERT_EQ(fromCrm["deltas"].size(), 1u);
  EXPECT_EQ(fromCrm["deltas"][0]["rowId"], "c1");
}

TEST(SyncHttp, RulesFilterWhatAPullGives) {
  SyncRig rig;
  const std::string rules = R"({"version":1,"buckets":[{"name":"mine","tables":["todos"],
      "filters":[{"column":"owner","op":"eq","value":"jwt:sub"}]}]})";
  EXPECT_EQ(rig.ask("POST", "/v1/admin/sync-rules/main", "client:a", rules).status, 403);
  ASSERT_EQ(rig.ask("POST", "/v1/admin/sync-rules/main", "admin:r", rules).body, R"({"saved":true})");
  EXPECT_EQ(jsonOf(rig.ask("GET", "/v1/admin/sync-rules/main", "admin:r"))["buckets"][0]["name"], "mine");
  EXPECT_THAT(rig.keptRules, HasSubstr("mine"));
  EXPECT_EQ(rig.ask("POST", "/v1/admin/sync-rules/main", "admin:r", R"({"buckets":[{"name":1}]})").status, 400);
  rig.gateway.handlePush(
      {"x",
       {deltaNow(rig.gateway, "x", "1", {{"owner", "a"}}), deltaNow(rig.gateway, "x", "2", {{"owner", "b"}})},
       {}});
  const auto page = jsonOf(rig.pull("client:a", "since=0&clientId=a"));
  ASSERT_EQ(page["deltas"].size(), 1u) << page;
  EXPECT_EQ(page["deltas"][0]["rowId"], "1");
}

TEST(SyncHttp, TellsAClientThatCannotGoOnToResync) {
  SyncRig rig;
  rig.gateway.handlePush({"x", {deltaNow(rig.gateway, "x", "1", {{"a", 1}})}, {}});
  const auto page = jsonOf(rig.pull("client:a", "since=1&clientId=a"));
  EXPECT_EQ(page["mustResync"], true);
  EXPECT_THAT(page["reason"].get<std::string>(), HasSubstr("snapshot"));
}

TEST(SyncHttp, SchemaFlushAndMetricsAreForAdmins) {
  SyncRig rig;
  const std::string schema =
      R"({"table":"todos","columns":[{"name":"title","type":"string"},{"name":"n","type":"number"}],
      "primaryKey":["row_id"]})";
  EXPECT_EQ(rig.ask("POST", "/v1/admin/schema/main", "client:a", schema).status, 403);
  EXPECT_EQ(rig.ask("POST", "/v1/admin/schema/main", "admin:r", schema).body, R"({"saved":true})");
  EXPECT_EQ(rig.keptSchema, "todos");
  for (const char* bad :
       {"x", "{}", R"({"table":"a b","columns":[]})", R"({"table":"t","columns":[{"name":"c","type":"blob"}]})",
        R"({"table":"t","columns":[{"type":"json"}]})", R"({"table":"t","columns":[{"name":"c;","type":"json"}]})",
        R"({"table":"t","columns":[],"primaryKey":["z"]})"}) {
    const auto refused = rig.ask("POST", "/v1/admin/schema/main", "admin:r", bad);
    EXPECT_EQ(refused.status, 400) << bad;
    EXPECT_EQ(jsonOf(refused)["code"], "SCHEMA_ERROR") << bad;
  }
  EXPECT_EQ(rig.push("client:a", {"a", {deltaNow(rig.gateway, "a", "1", {{"title", "x"}, {"n", 1.5}})}, {}}).status,
            200);
  EXPECT_EQ(rig.push("client:a", {"a", {deltaNow(rig.gateway, "a", "2", {{"other", 1}})}, {}}).status, 422);

  EXPECT_EQ(rig.ask("POST", "/v1/admin/flush/main", "admin:r").body, R"({"flushed":true})");
  rig.flush = [] { throw Error(ErrorCode::storeUnavailable, Retry::later, "the disk is full"); };
  const auto failed = rig.ask("POST", "/v1/admin/flush/main", "admin:r");
  EXPECT_EQ(failed.status, 503);
  EXPECT_EQ(jsonOf(failed)["code"], "FLUSH_ERROR");

  const auto metrics = jsonOf(rig.ask("GET", "/v1/admin/metrics/main", "admin:r"));
  EXPECT_EQ(metrics["logSize"], 1);
  EXPECT_EQ(metrics["indexSize"], 1);
  EXPECT_GT(metrics["byteSize"], 0);
  EXPECT_EQ(metrics["pushesRejected"], 1);
}

TEST(SyncHttp, PushesThatWaitForAStoreOrAreLargeDoNotHoldTheServersThread) {
  SyncRig rig({.inlineBytes = 100, .threads = 2});
  SyncPush large{"a", {}, {}};
  for (int i = 0; i < 2'000; ++i) large.deltas.push_back(deltaNow(rig.gateway, "a", std::to_string(i), {{"n", i}}));
  EXPECT_EQ(jsonOf(rig.push("client:a", large))["applied"], 2'000);
  EXPECT_EQ(jsonOf(rig.push("client:a", large))["duplicates"], 2'000);
}

TEST(SyncHttp, RefusesOptionsThatCannotWork) {
  Gateway g;
  const auto make = [&](std::vector<ServedGateway> gateways, SyncApiOptions options = {}) {
    SyncApi(std::move(gateways), std::move(options));
  };
  EXPECT_THROW(make({}), Error);
  EXPECT_THROW(make({{.name = "a/b", .gateway = &g}}), Error);
  EXPECT_THROW(make({{.name = "a"}}), Error);
  EXPECT_THROW(make({{.name = "a", .gateway = &g}, {.name = "a", .gateway = &g}}), Error);
  EXPECT_THROW(make({{.name = "a", .gateway = &g}}, {.threads = 0}), Error);
  EXPECT_NO_THROW(make({{.name = "a", .gateway = &g}}));
}

}  // namespace
}  // namespace tidegate::server
