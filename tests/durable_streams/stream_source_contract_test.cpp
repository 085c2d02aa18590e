#include "contract/sync_source_contract.h"
#include "durable_streams/stream_rig.h"
#include "tidegate/core/json.h"
#include "tidegate/durable_streams/source.h"
#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::contract {
namespace {

namespace streams = durable_streams;

TableSchema rowsOf(const std::string& table) {
  return {.table = table,
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "name", .kind = ValueKind::text},
                      {.name = "amount", .kind = ValueKind::int64}},
          .primaryKey = {"id"}};
}

/// One stream of a server in this process that holds both tables.
class StreamDatabase final : public SourceDatabase {
 public:
  explicit StreamDatabase(streams::Live live) : live_(live) { rig_.create("both"); }

  std::vector<std::string> tables() const override { return {"first", "second"}; }

  void commit(const std::vector<SourceChange>& changes) override {
    std::vector<std::string> messages;
    const std::string txid = std::to_string(++transaction_);
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const std::string type = tables()[changes[i].table];
      std::string& text = messages.emplace_back();
      if (changes[i].op == SourceChange::Op::truncate) {
        appendStateMessage(streams::ControlMessage{.control = streams::StateControl::reset, .type = type}, text);
        continue;
      }
      streams::ChangeMessage message{
          .operation = operationOf(changes[i].op), .type = type, .key = std::to_string(changes[i].id), .txid = txid};
      if (changes.size() > 1) message.last = i + 1 == changes.size();
      if (changes[i].op != SourceChange::Op::erase) message.value = valueOf(changes[i]);
      appendStateMessage(message, text);
    }
    rig_.append("both", messages);
  }

  std::unique_ptr<SyncSource> source() override {
    // The suite wants it alone.
    class Owner final : public SyncSource {
     public:
      explicit Owner(std::shared_ptr<SyncSource> of) : of_(std::move(of)) {}
      void init(const SourceContext& c) override { of_->init(c); }
      std::vector<TableIssue> validateTables(const std::vector<std::string>& t) override {
        return of_->validateTables(t);
      }
      Shape describeTable(const std::string& t) override { return of_->describeTable(t); }
      Position baseline(const std::vector<std::string>& t, const ChangeHandler& h, std::stop_token s) override {
        return of_->baseline(t, h, std::move(s));
      }
      void stream(const std::vector<std::string>& t, const Position& p, const ChangeHandler& h,
                  std::stop_token s) override {
        of_->stream(t, p, h, std::move(s));
      }
      void ack(const Position& p) override { of_->ack(p); }
      Position lastAckedPosition() const override { return of_->lastAckedPosition(); }
      bool supportsResume() const override { return of_->supportsResume(); }
      std::partial_ordering comparePositions(const Position& a, const Position& b) const override {
        return of_->comparePositions(a, b);
      }
      Position meet(const Position& a, const Position& b) const override { return of_->meet(a, b); }
      std::string positionToText(const Position& p) const override { return of_->positionToText(p); }
      Position positionFromText(std::string_view t) const override { return of_->positionFromText(t); }
      OrderingGuarantee orderingGuarantee() const override { return of_->orderingGuarantee(); }
      void pause() override { of_->pause(); }
      void resume() override { of_->resume(); }
      SourceState state() const override { return of_->state(); }
      SourceLag lag() const override { return of_->lag(); }
      void close() override { of_->close(); }
      std::unique_ptr<RowStream> readTable(const std::string& t, std::stop_token s) override {
        return of_->readTable(t, std::move(s));
      }

     private:
      std::shared_ptr<SyncSource> of_;
    };
    return std::make_unique<Owner>(
        streams::source({.server = {.url = rig_.url()},
                         .stream = "both",
                         .tables = {streams::entityTable(rowsOf("first")), streams::entityTable(rowsOf("second"))},
                         .live = live_,
                         .lost = streams::Lost::rebaseline,
                         .batchEvents = 40,
                         .backoff = {.firstDelay = std::chrono::milliseconds(1),
                                     .maxDelay = std::chrono::milliseconds(20),
                                     .maxRetries = UINT32_MAX}}));
  }
  bool disconnect() override {
    rig_.proxy().cut();
    return false;  // not told as a break: between two requests a client connects anew without having noticed
  }

 private:
  static streams::StateOperation operationOf(SourceChange::Op op) {
    if (op == SourceChange::Op::insert) return streams::StateOperation::insert;
    return op == SourceChange::Op::update ? streams::StateOperation::update : streams::StateOperation::erase;
  }
  static std::string valueOf(const SourceChange& change) {
    std::string json;
    const Shape shape = makeShape(rowsOf("any"));
    streams::appendRowJson(*shape,
                           {change.id, change.row.name, change.row.amount ? Value(*change.row.amount) : Value()}, json);
    return json;
  }

  streams::Live live_;
  test::StreamRig rig_;
  std::uint64_t transaction_ = 0;
};

SourceCase streamCase(const std::string& name, streams::Live live) {
  SourceAbilities can;
  can.exactBaselines = false;  // the same place may be told by another offset of the stream
  can.lagBytes = false;        // offsets are opaque
  can.seeds = 6;
  return {.name = name, .make = [live] { return std::make_unique<StreamDatabase>(live); }, .can = can};
}

#define TIDEGATE_STREAM_SOURCE(suite)                                                                             \
  INSTANTIATE_TEST_SUITE_P(                                                                                       \
      DurableStream, suite,                                                                                       \
      ::testing::Values(streamCase("sse", streams::Live::sse), streamCase("long_poll", streams::Live::longPoll)), \
      sourceCaseName)
TIDEGATE_STREAM_SOURCE(SyncSourceContract);
TIDEGATE_STREAM_SOURCE(SourceHistories);
TIDEGATE_STREAM_SOURCE(SourcePositions);
TIDEGATE_STREAM_SOURCE(SourceFailures);

}  // namespace
}  // namespace tidegate::contract
