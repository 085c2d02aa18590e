#include "tidegate/durable_streams/source.h"

#include <fmt/format.h>

#include <set>

#include "durable_streams/detail/source_core.h"

namespace tidegate::durable_streams {
namespace {

void checkSourceOptions(const SourceOptions& options) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "durable_streams::source: " + why);
  };
  if (options.server.url.empty()) refuse("server.url is empty");
  if (options.stream.empty()) refuse("it needs a stream");
  if (options.tables.empty()) refuse("it needs at least one table");
  if (options.batchEvents == 0) refuse("batchEvents must be over 0");
  if (options.live == Live::no) refuse("live = no would end at once; take longPoll, sse or automatic");
  std::set<std::string> names, types;
  for (const StreamTable& table : options.tables) {
    if (!names.insert(table.schema.table).second) {
      refuse(fmt::format("table \"{}\" is named twice", table.schema.table));
    }
    const std::string& type = table.type.empty() ? table.schema.table : table.type;
    if (table.fields.empty() && !types.insert(type).second)
      refuse(fmt::format("two tables have the type \"{}\"", type));
  }
}

/// Rows of an EntityView or of events, read whole before.
class StreamRows final : public RowStream {
 public:
  StreamRows(Shape shape, std::vector<std::vector<Value>> rows) : shape_(std::move(shape)), rows_(std::move(rows)) {}
  const Columns& columns() const override { return shape_->columns; }
  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    values = std::move(rows_[at_++]);
    return true;
  }

 private:
  Shape shape_;
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
};

class DurableStreamSource final : public SyncSource {
 public:
  explicit DurableStreamSource(SourceOptions options) : core_(std::move(options)) {}

  void init(const SourceContext& context) override { core_.init(context); }

  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override {
    std::vector<TableIssue> issues = core_.streamIssues();
    for (const std::string& table : tables) {
      if (!core_.shapeOf(table)) issues.push_back({table, ErrorCode::tableNotFound, core_.unknownTable(table), true});
    }
    return issues;
  }

  Shape describeTable(const std::string& table) override {
    if (Shape shape = core_.shapeOf(table)) return shape;
    throw Error(ErrorCode::tableNotFound, Retry::afterOperator, core_.unknownTable(table));
  }

  tidegate::Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                              std::stop_token stop) override {
    return core_.baseline(tables, handler, stop);
  }
  void stream(const std::vector<std::string>& tables, const tidegate::Position& from, const ChangeHandler& handler,
              std::stop_token stop) override {
    core_.stream(tables, from, handler, stop);
  }

  void ack(const tidegate::Position& position) override { core_.ack(position); }
  tidegate::Position lastAckedPosition() const override { return core_.lastAcked(); }
  bool supportsResume() const override { return true; }

  std::partial_ordering comparePositions(const tidegate::Position& a, const tidegate::Position& b) const override {
    const auto left = detail::parsePlace(a.octets), right = detail::parsePlace(b.octets);
    if (!left || !right) return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
    return detail::comparePlaces(*left, *right);
  }
  tidegate::Position meet(const tidegate::Position& a, const tidegate::Position& b) const override {
    const auto order = detail::comparePlaces(detail::requirePlace(a), detail::requirePlace(b));
    return order == std::partial_ordering::greater ? b : a;
  }
  std::string positionToText(const tidegate::Position& position) const override {
    return detail::placeText(detail::requirePlace(position));
  }
  tidegate::Position positionFromText(std::string_view text) const override {
    if (const auto place = detail::parsePlace(text)) return detail::positionOf(*place);
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("{} is no place in a durable stream", describe(Value(text))));
  }

  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::total; }
  void pause() override { core_.setPaused(true); }
  void resume() override { core_.setPaused(false); }
  SourceState state() const override { return core_.state(); }
  SourceLag lag() const override { return core_.lag(); }
  void close() override { core_.close(); }

  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override {
    return std::make_unique<StreamRows>(describeTable(table), core_.rowsOf(table, stop));
  }

 private:
  detail::SourceCore core_;
};

}  // namespace

std::shared_ptr<SyncSource> source(SourceOptions options) {
  checkSourceOptions(options);
  return std::make_shared<DurableStreamSource>(std::move(options));
}

}  // namespace tidegate::durable_streams
