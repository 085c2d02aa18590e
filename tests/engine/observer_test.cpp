#include "tidegate/engine/observer.h"

#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <sstream>

#include "engine/engine_rig.h"

namespace tidegate {
namespace {

using namespace std::chrono_literals;

/// Fires every event once.
void fireAll(EngineObserver& o) {
  const Error error(ErrorCode::queryFailed, Retry::later, "it failed");
  o.onSourceState("shop", {SourceState::connecting, SourceState::connected, "there"});
  o.onTableIssue("shop", {.table = "people", .message = "no key"});
  o.onWarning("shop", "mind the gap");
  o.onLag("shop", {.bytes = 5, .time = 2500ms, .retainedBytes = 7});
  o.onAck("shop", "0/1");
  o.onPositionLost("shop", error);
  o.onPipelineState("replica", PipelineState::starting, PipelineState::streaming, "whole");
  o.onBaselineBegin("replica", "people");
  o.onBaselineProgress("replica", "people", 10);
  o.onBaselineEnd("replica", "people", 20);
  o.onSchemaChange("replica", "people", {});
  o.onCommit("replica", 3, 1500us);
  o.onRetry("replica", error, 1, 100ms);
  o.onDeadLetter("replica", {.table = "people", .key = "id=1"});
  o.onIsolated("replica", error);
  o.onDropped("replica", 4);
  o.onExpired("replica", "people", 6);
}

TEST(Observers, PassEveryEventOnInOrder) {
  auto first = std::make_shared<test::RecordingObserver>();
  auto second = std::make_shared<test::RecordingObserver>();
  fireAll(*observers({first, nullptr, second}));
  EXPECT_EQ(first->lines().size(), 17u);
  EXPECT_EQ(first->lines(), second->lines());
}

TEST(LogObserver, WritesALineForEachEventAtItsLevel) {
  std::ostringstream text;
  auto before = spdlog::default_logger();
  auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_st>(text));
  logger->set_pattern("%l %v");
  logger->set_level(spdlog::level::debug);
  spdlog::set_default_logger(logger);
  fireAll(*logObserver());
  spdlog::set_default_logger(before);
  const std::string all = text.str();
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 17);
  EXPECT_NE(all.find("error pipeline replica: isolated"), std::string::npos) << all;
  EXPECT_NE(all.find("warning pipeline replica: failure 1"), std::string::npos);
  EXPECT_NE(all.find("info pipeline replica: starting -> streaming"), std::string::npos);
  EXPECT_NE(all.find("debug pipeline replica: 3 events durable"), std::string::npos);
}

TEST(MetricsObserver, CountsEveryEventInPrometheusForm) {
  const auto metrics = metricsObserver();
  EXPECT_EQ(metrics->text(), "");
  fireAll(*metrics);
  fireAll(*metrics);
  const std::string text = metrics->text();
  const auto has = [&](const std::string& line) { return text.find("\n" + line + "\n") != std::string::npos; };
  EXPECT_TRUE(has("tidegate_events_total{pipeline=\"replica\"} 6")) << text;
  EXPECT_TRUE(has("tidegate_commit_seconds_total{pipeline=\"replica\"} 0.003"));
  EXPECT_TRUE(has("tidegate_source_lag_seconds{source=\"shop\"} 2.5"));
  EXPECT_TRUE(has("tidegate_source_lag_bytes{source=\"shop\"} 5"));
  EXPECT_TRUE(has("tidegate_source_retained_bytes{source=\"shop\"} 7"));
  EXPECT_TRUE(has("tidegate_baseline_rows{pipeline=\"replica\",table=\"people\"} 20"));
  EXPECT_TRUE(has("tidegate_pipeline_state{pipeline=\"replica\",state=\"starting\"} 0"));
  EXPECT_TRUE(has("tidegate_pipeline_state{pipeline=\"replica\",state=\"streaming\"} 1"));
  EXPECT_TRUE(has("tidegate_retries_total{pipeline=\"replica\",code=\"queryFailed\"} 2"));
  EXPECT_TRUE(has("# TYPE tidegate_events_total counter"));
  for (const char* name :
       {"acks", "baselines", "commits", "dead_letters", "dropped_events", "expired_rows", "isolations",
        "positions_lost", "schema_changes", "source_state_changes", "table_issues", "warnings"}) {
    EXPECT_NE(text.find("tidegate_" + std::string(name) + "_total{"), std::string::npos) << name;
  }
}

TEST(MetricsObserver, EscapesLabels) {
  const auto metrics = metricsObserver();
  metrics->onAck("a\"b\\c\nd", "");
  EXPECT_NE(metrics->text().find("{source=\"a\\\"b\\\\c\\nd\"} 1"), std::string::npos) << metrics->text();
}

class EngineEvents : public test::EngineRig {};

TEST_F(EngineEvents, EveryEventIsFiredByAnEngine) {
  db->createTable({.table = "people",
                   .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                               {.name = "name", .kind = ValueKind::text},
                               {.name = "score", .kind = ValueKind::int64}},
                   .primaryKey = {"id"}});
  db->setIssue("people", ErrorCode::noReplicaIdentity, false);
  const std::int64_t now = clock.wallNow().count() / 1'000'000;
  for (int i = 0; i < 30; ++i) db->insert("people", {i, "x", now});
  sourceOptions.batchEvents = 5;
  sinkOptions.exactlyOnce = false;
  const auto spec = [&] {
    auto made = pipeline();
    made.tables[0].ttl = TimeToLive{.column = "score", .age = 1h};
    made.overflow = OverflowPolicy::dropOldest;
    made.maxQueuedEvents = 10;
    made.commitEvents = 5;
    made.onFailure = FailurePolicy::deadLetter;
    made.deadLetters = memoryDeadLetters();
    return made;
  };
  make({spec()});
  run();
  target().poison("100", Error(ErrorCode::queryFailed, Retry::never, "poison"));
  db->insert("people", {100, "x", now});
  run();
  target().failNext(test::SinkCall::apply, Error(ErrorCode::connectionFailed, Retry::later, "away"), 1);
  target().failNext(test::SinkCall::open, Error(ErrorCode::connectionFailed, Retry::later, "away"), 20);
  for (int i = 200; i < 260; ++i) db->insert("people", {i, "x", now});
  run();
  source().failAtEvent(1, Error(ErrorCode::queryFailed, Retry::later, "warns"));
  TableSchema schema = test::peopleSchema();
  schema.columns.push_back({.name = "city", .kind = ValueKind::text});
  db->commit([&](TestTransaction& t) { t.alter({.schema = schema}); });
  run();
  clock.advance(2h);
  db->insert("people", {300, "x", now + 7200, "Rome"});
  run();
  db->loseLog();
  crash();
  db->insert("people", {301, "x", now + 7200, "Rome"});
  db->loseLog();
  make({spec()});
  run();
  target().failNext(test::SinkCall::commit, Error(ErrorCode::fenced, Retry::afterOperator, "fenced"));
  db->insert("people", {302, "x", now + 7200, "Rome"});
  run();
  for (const char* event :
       {"state", "issue", "warning", "lag", "ack", "positionLost", "pipeline", "baselineBegin", "baselineProgress",
        "baselineEnd", "schemaChange", "commit", "retry", "deadLetter", "isolated", "dropped", "expired"}) {
    EXPECT_GT(observer->count(std::string(event) + " "), 0u) << event << "\n" << observer->all();
  }
}

}  // namespace
}  // namespace tidegate
