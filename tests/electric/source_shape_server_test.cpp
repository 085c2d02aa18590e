/// The source against our own server of shapes: what one half of the driver says, the other understands.
#include "contract/sync_source_contract.h"
#include "electric/detail/source_make.h"
#include "tidegate/electric/shape_server.h"
#include "tidegate/electric/shape_sink.h"

namespace tidegate::electric::test {
namespace {

using contract::SourceAbilities;
using contract::SourceCase;
using contract::sourceCaseName;
using contract::SourceChange;
using contract::SourceDatabase;
using contract::SourceFailures;
using contract::SourceHistories;
using contract::SourcePositions;
using contract::SyncSourceContract;

Shape servedShape(const std::string& table) {
  return makeShape({.table = table,
                    .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false, .sourceType = "bigint"},
                                {.name = "name", .kind = ValueKind::text, .sourceType = "text"},
                                {.name = "amount", .kind = ValueKind::int64, .sourceType = "bigint"}},
                    .primaryKey = {"id"}});
}

/// Tables that a sink keeps and a server shows.
class ServedDatabase final : public SourceDatabase {
 public:
  explicit ServedDatabase(LiveMode live) : live_(live) {
    sink_.open({.pipeline = "served"});
    ChangeBatch batch;
    for (const std::string& table : tables()) {
      shapes_.push_back(servedShape(table));
      sink_.prepareTable(shapes_.back());
      add(batch, ChangeOp::baselineBegin, shapes_.back());
      add(batch, ChangeOp::baselineEnd, shapes_.back());
    }
    sink_.apply(batch);
    sink_.commit("0");
    http::Router router;
    shapeServer_ = std::make_unique<ShapeServer>(sink_.feed());
    router.mount("/v1/shape", shapeServer_->handler());
    server_ = std::make_unique<http::Server>(http::ServerOptions{}, router.handler());
    server_->onStopping([this] { shapeServer_->finish(); });
    server_->start();
  }
  ~ServedDatabase() override { server_->stop(std::chrono::milliseconds(0)); }

  std::vector<std::string> tables() const override { return {"first", "second"}; }
  void commit(const std::vector<SourceChange>& changes) override {
    ChangeBatch batch;
    for (const SourceChange& change : changes) {
      const bool erase = change.op == SourceChange::Op::erase;
      const bool known = !ids_.insert({change.table, change.id}).second;
      if (erase) ids_.erase({change.table, change.id});
      ChangeEvent& event = add(batch,
                               erase   ? ChangeOp::erase
                               : known ? ChangeOp::update
                                       : ChangeOp::insert,
                               shapes_[change.table]);
      std::vector<Value> row{change.id, change.row.name, Value()};
      if (change.row.amount) row[2] = *change.row.amount;
      (erase ? event.before : event.after) = std::move(row);
      event.transactionBegin = &change == &changes.front();
      event.transactionEnd = &change == &changes.back();
      event.transactionId = commits_ + 1;
    }
    sink_.apply(batch);
    sink_.commit(std::to_string(++commits_));
  }
  std::unique_ptr<SyncSource> source() override {
    return reading::makeSource({.url = server_->url() + "/v1/shape",
                                .shapes = {{.table = "first"}, {.table = "second"}},
                                .live = live_,
                                .mergeWait = std::chrono::milliseconds(60'000),
                                .batchEvents = 7,
                                .backoff = {.firstDelay = std::chrono::milliseconds(1)}});
  }

 private:
  ChangeEvent& add(ChangeBatch& batch, ChangeOp op, const Shape& shape) {
    ChangeEvent& event = batch.add(op, shape);
    event.transactionBegin = event.transactionEnd = true;
    event.position = {std::to_string(++positions_)};
    return event;
  }

  const LiveMode live_;
  ShapeSink sink_;
  std::vector<Shape> shapes_;
  std::set<std::pair<std::size_t, std::int64_t>> ids_;
  std::uint64_t commits_ = 0, positions_ = 0;
  std::unique_ptr<ShapeServer> shapeServer_;
  std::unique_ptr<http::Server> server_;
};

SourceCase servedCase(const std::string& name, LiveMode live) {
  return {.name = name,
          .make = [live] { return std::make_unique<ServedDatabase>(live); },
          .can = {.seesTruncates = false, .seeds = 10}};
}

const auto kServed =
    ::testing::Values(servedCase("LongPolls", LiveMode::longPoll), servedCase("Events", LiveMode::events));

INSTANTIATE_TEST_SUITE_P(ElectricSourceOfShapeServer, SyncSourceContract, kServed, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSourceOfShapeServer, SourceHistories, kServed, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSourceOfShapeServer, SourcePositions, kServed, sourceCaseName);
INSTANTIATE_TEST_SUITE_P(ElectricSourceOfShapeServer, SourceFailures, kServed, sourceCaseName);

}  // namespace
}  // namespace tidegate::electric::test
