#include "tidegate/nats/source.h"

#include <fmt/format.h>

#include "nats/detail/source_core.h"

namespace tidegate::nats {
namespace {

using detail::StreamPlace;

class NatsSource final : public SyncSource {
 public:
  explicit NatsSource(SourceOptions options) : core_(std::move(options)) {}

  void init(const SourceContext& context) override { core_.init(context); }
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override {
    return core_.validate(tables);
  }
  Shape describeTable(const std::string& table) override { return core_.describe(table); }
  Position baseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                    std::stop_token stop) override {
    return core_.baseline(tables, handler, stop);
  }
  void stream(const std::vector<std::string>& tables, const Position& from, const ChangeHandler& handler,
              std::stop_token stop) override {
    core_.stream(tables, from, handler, stop);
  }

  void ack(const Position& position) override { core_.ack(position); }
  Position lastAckedPosition() const override { return core_.lastAcked(); }
  bool supportsResume() const override { return true; }

  std::partial_ordering comparePositions(const Position& a, const Position& b) const override {
    const auto left = detail::placeOf(a), right = detail::placeOf(b);
    if (!left || !right) return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
    if (left->incarnation != right->incarnation) return std::partial_ordering::unordered;
    return left->sequence <=> right->sequence;
  }
  Position meet(const Position& a, const Position& b) const override {
    const StreamPlace left = detail::requirePlace(a), right = detail::requirePlace(b);
    // Of two streams of one name only the operator knows which is the later: the first message of either misses
    // nothing.
    if (left.incarnation != right.incarnation) return detail::positionOf({0, left.incarnation});
    return left.sequence <= right.sequence ? a : b;
  }
  std::string positionToText(const Position& position) const override {
    return detail::placeText(detail::requirePlace(position));
  }
  Position positionFromText(std::string_view text) const override {
    if (const auto place = detail::placeFromText(text)) return detail::positionOf(*place);
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("{} is no place in a stream of NATS", describe(Value(text))));
  }

  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::total; }
  void pause() override { core_.setPaused(true); }
  void resume() override { core_.setPaused(false); }
  SourceState state() const override { return core_.state(); }
  SourceLag lag() const override { return core_.lag(); }
  void close() override { core_.close(); }
  std::unique_ptr<RowStream> readTable(const std::string& table, std::stop_token stop) override {
    return core_.readTable(table, stop);
  }

 private:
  detail::SourceCore core_;
};

}  // namespace

std::shared_ptr<SyncSource> source(SourceOptions options) {
  const auto refuse = [](const char* why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, std::string("nats::source: ") + why);
  };
  if (options.stream.empty()) refuse("it needs a stream");
  if (options.stream.find_first_of(" .*>/\\") != std::string::npos) refuse("that cannot be a stream's name");
  if (options.batchEvents == 0 || options.bufferBytes == 0 || options.readBackBytes == 0) {
    refuse("batchEvents, bufferBytes and readBackBytes must be over 0");
  }
  return std::make_shared<NatsSource>(std::move(options));
}

}  // namespace tidegate::nats
