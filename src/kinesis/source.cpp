#include "tidegate/kinesis/source.h"

#include <fmt/format.h>

#include <random>
#include <set>

#include "kinesis/detail/source_core.h"

namespace tidegate::kinesis {
namespace {

void checkOptions(const SourceOptions& options) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "kinesis::source: " + why);
  };
  if (options.stream.empty()) refuse("it needs a stream");
  if (options.bucket.empty()) refuse("it needs a bucket");
  if (options.batchEvents == 0) refuse("batchEvents must be over 0");
  if (options.recordsPerRead == 0 || options.recordsPerRead > 10'000) refuse("recordsPerRead is 1 to 10,000");
  if (options.readInterval.count() < 1) refuse("readInterval is at least 1 ms");
  if (options.snapshotMargin.count() < 0) refuse("snapshotMargin is no negative time");
  if (options.leases.store && options.leases.duration < std::chrono::milliseconds(100)) {
    refuse("a lease lasts at least 100 ms");
  }
  if (options.leases.store && options.leases.interval.count() < 1) refuse("leases are renewed at most once a ms");
  if (options.maxLineBytes == 0) refuse("maxLineBytes must be over 0");
  if (options.manifest.empty() && options.tables.empty()) refuse("it needs a manifest, or tables");
  std::set<std::string> names;
  for (const TableSchema& table : options.tables) {
    makeShape(table);
    if (!names.insert(table.table).second) refuse(fmt::format("table \"{}\" is named twice", table.table));
  }
}

std::string randomName() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

SourceOptions withDefaults(SourceOptions options) {
  if (options.leases.key.empty()) options.leases.key = "kinesis-leases/" + options.stream;
  if (options.leases.worker.empty()) options.leases.worker = randomName();
  if (options.checkpointKey.empty()) options.checkpointKey = "kinesis/" + options.stream;
  return options;
}

class KinesisSource final : public SyncSource {
 public:
  explicit KinesisSource(SourceOptions options) : core_(std::move(options)) {}

  void init(const SourceContext& context) override { core_.init(context); }
  std::vector<TableIssue> validateTables(const std::vector<std::string>& tables) override {
    return core_.issuesOf(tables);
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
    const auto left = detail::parsePlace(a.octets), right = detail::parsePlace(b.octets);
    if (!left || !right) return a == b ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
    return detail::comparePlaces(*left, *right);
  }
  Position meet(const Position& a, const Position& b) const override {
    return {detail::placeText(detail::meetPlaces(detail::requirePlace(a), detail::requirePlace(b)))};
  }
  std::string positionToText(const Position& position) const override {
    return detail::placeText(detail::requirePlace(position));
  }
  Position positionFromText(std::string_view text) const override {
    if (detail::parsePlace(text)) return {std::string(text)};
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("{} is no position of a Kinesis source", describe(Value(text))));
  }

  OrderingGuarantee orderingGuarantee() const override { return OrderingGuarantee::perPartition; }
  void pause() override { core_.setPaused(true); }
  void resume() override { core_.setPaused(false); }
  SourceState state() const override { return core_.state(); }
  SourceLag lag() const override { return core_.lag(); }
  void close() override { core_.close(); }

 private:
  detail::SourceCore core_;
};

}  // namespace

std::shared_ptr<SyncSource> source(SourceOptions options) {
  checkOptions(options);
  return std::make_shared<KinesisSource>(withDefaults(std::move(options)));
}

}  // namespace tidegate::kinesis
