// From a source through a stream into a sink: two engines, one after the other.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "nats/nats_rig.h"
#include "tidegate/engine/engine.h"
#include "tidegate/nats/sink.h"
#include "tidegate/nats/source.h"
#include "tidegate/sink/memory_sink.h"
#include "tidegate/source/test_source.h"

namespace tidegate::nats {
namespace {

using std::chrono::seconds;
using testing::freshName;
using testing::serverOptions;
using testing::soon;

constexpr int kTransactions = 3;

std::shared_ptr<TestDatabase> twoTables() {
  auto database = std::make_shared<TestDatabase>();
  for (const char* table : {"wanted", "other"}) {
    database->createTable({.table = table,
                           .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}},
                           .primaryKey = {"id"}});
  }
  return database;
}

std::unique_ptr<Engine> intoStream(const std::shared_ptr<TestDatabase>& database, const std::string& stream) {
  SinkOptions options{.connect = serverOptions(), .streamName = stream, .subjectPrefix = stream};
  options.stream.storage = Storage::memory;
  EngineOptions engine;
  // Batches are shorter than a transaction, and both tables are read: the first pipeline's last batches are all
  // foreign.
  engine.sources = {
      {.name = "s", .source = std::make_shared<TestSource>(database, TestSourceOptions{.batchEvents = 10})}};
  engine.pipelines.push_back(
      {.name = "in", .source = "s", .tables = {{.table = "wanted"}}, .sink = nats::sink(options)});
  engine.pipelines.push_back(
      {.name = "beside", .source = "s", .tables = {{.table = "other"}}, .sink = std::make_shared<MemorySink>()});
  return std::make_unique<Engine>(engine);
}

std::unique_ptr<Engine> outOfStream(const std::string& stream, const std::shared_ptr<Sink>& sink) {
  EngineOptions engine;
  engine.sources = {{.name = "n", .source = nats::source({.connect = serverOptions(), .stream = stream})}};
  engine.pipelines.push_back({.name = "out", .source = "n", .tables = {{.table = "wanted"}}, .sink = sink});
  return std::make_unique<Engine>(engine);
}

TEST(NatsEngineChain, AUnitEndsItsTransactionWhateverAFilterTook) {
  const std::string stream = freshName("CHAIN");
  const auto database = twoTables();
  const auto target = std::make_shared<MemorySink>();
  const auto in = intoStream(database, stream);
  in->start();
  ASSERT_TRUE(in->awaitReady(seconds(30)));
  const auto out = outOfStream(stream, target);
  out->start();
  ASSERT_TRUE(out->awaitReady(seconds(30)));
  for (int transaction = 1; transaction <= kTransactions; ++transaction) {
    database->commit([&](TestTransaction& changes) {
      changes.insert("wanted", {transaction});
      for (int i = 0; i < 30; ++i) changes.insert("other", {transaction * 100 + i});
    });
    EXPECT_TRUE(soon([&] { return target->view().count("wanted") == static_cast<std::size_t>(transaction); }))
        << "transaction " << transaction << " is not durable before another comes";
  }
  EXPECT_EQ(out->stop(seconds(10)), StopOutcome::drained);
  EXPECT_EQ(in->stop(seconds(10)), StopOutcome::drained);
}

}  // namespace
}  // namespace tidegate::nats
