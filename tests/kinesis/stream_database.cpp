#include "kinesis/stream_database.h"

#include <fmt/format.h>

#include "tidegate/core/json.h"

namespace tidegate::kinesis::testing {
namespace {

using contract::SourceChange;

std::string jsonText(std::string_view text) {
  std::string out;
  appendJsonString(text, out);
  return out;
}

std::string rowJson(std::int64_t id, const contract::SourceRow& row) {
  return fmt::format("{{\"id\":{},\"name\":{},\"amount\":{}}}", id, jsonText(row.name),
                     row.amount ? std::to_string(*row.amount) : "null");
}

/// What the suite asks for, and a snapshot before each baseline.
class SnapshottedSource final : public SyncSource {
 public:
  SnapshottedSource(std::shared_ptr<SyncSource> of, StreamDatabase& database)
      : of_(std::move(of)), database_(database) {}
  void init(const SourceContext& c) override { of_->init(c); }
  std::vector<TableIssue> validateTables(const std::vector<std::string>& t) override {
    database_.writeSnapshot();
    return of_->validateTables(t);
  }
  Shape describeTable(const std::string& t) override { return of_->describeTable(t); }
  Position baseline(const std::vector<std::string>& t, const ChangeHandler& h, std::stop_token s) override {
    database_.writeSnapshot();
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

 private:
  std::shared_ptr<SyncSource> of_;
  StreamDatabase& database_;
};

}  // namespace

TableSchema contractTable(const std::string& name) {
  return {.table = name,
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "name", .kind = ValueKind::text},
                      {.name = "amount", .kind = ValueKind::int64}},
          .primaryKey = {"id"}};
}

std::string recordOf(const std::string& table, const SourceChange& change) {
  const std::string identity = fmt::format("{{\"id\":{}}}", change.id);
  switch (change.op) {
    case SourceChange::Op::insert:
      return fmt::format("{{\"table\":{},\"action\":\"INSERT\",\"row\":{}}}", jsonText(table),
                         rowJson(change.id, change.row));
    case SourceChange::Op::update:
      return fmt::format("{{\"table\":{},\"action\":\"UPDATE\",\"row\":{},\"identity\":{}}}", jsonText(table),
                         rowJson(change.id, change.row), identity);
    case SourceChange::Op::erase:
      return fmt::format("{{\"table\":{},\"action\":\"DELETE\",\"identity\":{}}}", jsonText(table), identity);
    case SourceChange::Op::truncate:
      break;
  }
  return fmt::format("{{\"table\":{},\"action\":\"TRUNCATE\"}}", jsonText(table));
}

SourceOptions quickOptions(const std::string& stream, const std::string& prefix) {
  SourceOptions options;
  options.stream = stream;
  options.bucket = "snapshots";
  options.prefix = prefix;
  options.region = "us-east-1";
  options.kinesisEndpoint = emulatorUrl("TIDEGATE_KINESIS_URL");
  options.s3Endpoint = emulatorUrl("TIDEGATE_S3_URL");
  options.pathStyle = true;
  options.credentials = staticCredentials({.accessKeyId = "S3RVER", .secretAccessKey = "S3RVER"});
  options.readInterval = std::chrono::milliseconds(5);
  options.batchEvents = 40;
  options.backoff = {
      .firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(20), .maxRetries = UINT32_MAX};
  return options;
}

StreamDatabase::StreamDatabase(unsigned shards, bool fanOut)
    : stream_(freshName("contract")),
      fanOut_(fanOut),
      kinesis_(emulatorUrl("TIDEGATE_KINESIS_URL")),
      kinesisProxy_(portOf(emulatorUrl(fanOut ? "TIDEGATE_FAN_OUT_URL" : "TIDEGATE_KINESIS_URL"))),
      s3Proxy_(portOf(emulatorUrl("TIDEGATE_S3_URL"))) {
  kinesis_.create(stream_, shards);
  for (const Kinesalite::Shard& shard : kinesis_.shards(stream_)) last_[shard.id] = "TRIM_HORIZON";
  writeSnapshot();
}

void StreamDatabase::commit(const std::vector<SourceChange>& changes) {
  const std::lock_guard lock(mutex_);
  for (const SourceChange& change : changes) {
    Rows& rows = rows_[change.table];
    if (change.op == SourceChange::Op::truncate)
      rows.clear();
    else if (change.op == SourceChange::Op::erase)
      rows.erase(change.id);
    else
      rows[change.id] = change.row;
    // All changes of one row go to one shard: that is what keeps them in order.
    const Kinesalite::Put put =
        kinesis_.put(stream_, recordOf(tables()[change.table], change), fmt::format("{}/{}", change.table, change.id));
    last_[put.shard] = put.sequence;
  }
}

void StreamDatabase::writeTable(std::size_t table) {
  std::string lines;
  for (const auto& [id, row] : rows_[table]) lines += rowJson(id, row) + "\n";
  putObject(emulatorUrl("TIDEGATE_S3_URL"), stream_ + "/" + tables()[table] + ".jsonl", std::move(lines));
}

void StreamDatabase::writeManifest() {
  std::string json = "{\"tables\":[";
  for (const std::string& table : tables()) {
    json += fmt::format(
        "{}{{\"table\":\"{}\",\"columns\":[{{\"name\":\"id\",\"type\":\"int64\",\"nullable\":false}},{{\"name\":"
        "\"name\"}},"
        "{{\"name\":\"amount\",\"type\":\"int64\"}}],\"primaryKey\":[\"id\"]}}",
        table == tables()[0] ? "" : ",", table);
  }
  json += "],\"stream\":{";
  bool first = true;
  for (const auto& [shard, sequence] : last_) {
    json += fmt::format("{}\"{}\":\"{}\"", first ? "" : ",", shard, sequence);
    first = false;
  }
  putObject(emulatorUrl("TIDEGATE_S3_URL"), stream_ + "/manifest.json", json + "}}");
}

void StreamDatabase::writeSnapshot() {
  const std::lock_guard lock(mutex_);
  for (std::size_t table = 0; table < 2; ++table) writeTable(table);
  writeManifest();
}

std::unique_ptr<SyncSource> StreamDatabase::source() {
  SourceOptions options = quickOptions(stream_, stream_ + "/");
  options.kinesisEndpoint = fmt::format("http://127.0.0.1:{}", kinesisProxy_.port());
  options.s3Endpoint = fmt::format("http://127.0.0.1:{}", s3Proxy_.port());
  if (fanOut_) options.fanOut = {.consumer = "contract", .retryInterval = std::chrono::milliseconds(10)};
  return std::make_unique<SnapshottedSource>(kinesis::source(std::move(options)), *this);
}

bool StreamDatabase::disconnect() {
  kinesisProxy_.cut();
  s3Proxy_.cut();
  return false;  // not told as a break: between two requests a client connects anew without having noticed
}

}  // namespace tidegate::kinesis::testing
