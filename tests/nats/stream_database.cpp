#include "nats/stream_database.h"

namespace tidegate::nats::testing {
namespace {

using contract::SourceChange;
using contract::SourceRow;

/// A source that is its owner's alone.
class OwnedSource final : public SyncSource {
 public:
  explicit OwnedSource(std::shared_ptr<SyncSource> inner) : s_(std::move(inner)) {}
  void init(const SourceContext& c) override { s_->init(c); }
  std::vector<TableIssue> validateTables(const std::vector<std::string>& t) override { return s_->validateTables(t); }
  Shape describeTable(const std::string& t) override { return s_->describeTable(t); }
  Position baseline(const std::vector<std::string>& t, const ChangeHandler& h, std::stop_token stop) override {
    return s_->baseline(t, h, stop);
  }
  void stream(const std::vector<std::string>& t, const Position& p, const ChangeHandler& h,
              std::stop_token stop) override {
    s_->stream(t, p, h, stop);
  }
  void ack(const Position& p) override { s_->ack(p); }
  Position lastAckedPosition() const override { return s_->lastAckedPosition(); }
  bool supportsResume() const override { return s_->supportsResume(); }
  std::partial_ordering comparePositions(const Position& a, const Position& b) const override {
    return s_->comparePositions(a, b);
  }
  Position meet(const Position& a, const Position& b) const override { return s_->meet(a, b); }
  std::string positionToText(const Position& p) const override { return s_->positionToText(p); }
  Position positionFromText(std::string_view t) const override { return s_->positionFromText(t); }
  OrderingGuarantee orderingGuarantee() const override { return s_->orderingGuarantee(); }
  void pause() override { s_->pause(); }
  void resume() override { s_->resume(); }
  SourceState state() const override { return s_->state(); }
  SourceLag lag() const override { return s_->lag(); }
  void close() override { s_->close(); }
  std::unique_ptr<RowStream> readTable(const std::string& t, std::stop_token stop) override {
    return s_->readTable(t, stop);
  }

 private:
  std::shared_ptr<SyncSource> s_;
};

Shape tableOf(const std::string& name) {
  return makeShape({.table = name,
                    .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                                {.name = "name", .kind = ValueKind::text},
                                {.name = "amount", .kind = ValueKind::int64}},
                    .primaryKey = {"id"}});
}

std::vector<Value> valuesOf(std::int64_t id, const SourceRow& row) {
  return {id, row.name, row.amount ? Value(*row.amount) : Value()};
}

}  // namespace

StreamDatabase::StreamDatabase(Body body, std::size_t bufferBytes)
    : stream_(freshName("S")), bufferBytes_(bufferBytes), proxy_(portOf(serverUrls().front())) {
  options_ = {.connect = serverOptions(), .streamName = stream_, .subjectPrefix = "t." + stream_, .body = body};
  options_.stream.storage = Storage::memory;
  for (const std::string& name : tables()) shapes_.push_back(tableOf(name));
  openSink();
  writeBaseline();
}

void StreamDatabase::openSink() {
  sink_ = sink(options_);
  sink_->open({.pipeline = "writer"});
  for (const Shape& shape : shapes_) sink_->prepareTable(shape);
}

void StreamDatabase::writeBaseline() {
  for (std::size_t table = 0; table < shapes_.size(); ++table) {
    batch_.add(ChangeOp::baselineBegin, shapes_[table]);
    for (const auto& [id, row] : rows_[table]) batch_.add(ChangeOp::read, shapes_[table]).after = valuesOf(id, row);
    batch_.add(ChangeOp::baselineEnd, shapes_[table]);
  }
  for (ChangeEvent& event : batch_) event.transactionBegin = event.transactionEnd = true;
  commitBatch();
}

void StreamDatabase::commitBatch() {
  for (ChangeEvent& event : batch_) event.position.octets = std::to_string(++place_);
  sink_->apply(batch_);
  batch_.clear();
  sink_->commit(std::to_string(place_));
}

void StreamDatabase::commit(const std::vector<SourceChange>& changes) {
  for (const SourceChange& change : changes) {
    auto& rows = rows_[change.table];
    const Shape& shape = shapes_[change.table];
    switch (change.op) {
      case SourceChange::Op::insert:
      case SourceChange::Op::update: {
        const bool isNew = change.op == SourceChange::Op::insert || !rows.contains(change.id);
        batch_.add(isNew ? ChangeOp::insert : ChangeOp::update, shape).after = valuesOf(change.id, change.row);
        rows[change.id] = change.row;
        break;
      }
      case SourceChange::Op::erase: {
        ChangeEvent& event = batch_.add(ChangeOp::erase, shape);
        event.before = {change.id, nullptr, nullptr};
        event.beforeAbsent = {1, 2};
        rows.erase(change.id);
        break;
      }
      case SourceChange::Op::truncate:
        batch_.add(ChangeOp::truncate, shape);
        rows.clear();
    }
    batch_.back().transactionId = place_ + 1;
  }
  const std::uint64_t transaction = place_ + 1;
  for (ChangeEvent& event : batch_) event.transactionId = transaction;
  batch_[0].transactionBegin = true;
  batch_.back().transactionEnd = true;
  commitBatch();
}

std::unique_ptr<SyncSource> StreamDatabase::source() {
  SourceOptions options{.stream = stream_, .batchEvents = 40, .bufferBytes = bufferBytes_};
  options.connect.servers = {"nats://127.0.0.1:" + std::to_string(proxy_.port())};
  options.backoff.firstDelay = std::chrono::milliseconds(1);
  options.backoff.maxRetries = UINT32_MAX;
  return std::make_unique<OwnedSource>(nats::source(options));
}

bool StreamDatabase::disconnect() {
  proxy_.cut();
  return true;
}

bool StreamDatabase::forgetHistory() {
  Servers servers;
  servers.js().purge(stream_, servers.js().info(stream_).lastSequence + 1);
  openSink();
  writeBaseline();
  return true;
}

}  // namespace tidegate::nats::testing
