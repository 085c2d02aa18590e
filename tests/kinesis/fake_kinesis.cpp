#include "kinesis/fake_kinesis.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"

namespace tidegate::kinesis::testing {
namespace {

using FakeJson = nlohmann::json;

double nowSeconds() { return static_cast<double>(systemClock().wallNow().count()) / 1e6; }

}  // namespace

FakeKinesis::FakeKinesis() {
  server_ = std::make_unique<http::Server>(http::ServerOptions{},
                                           http::Handler([this](http::Request&& request, http::Responder responder) {
                                             if (request.headers.get("x-amz-target").ends_with(".SubscribeToShard"))
                                               subscribe(request, std::move(responder));
                                             else
                                               responder.send(answer(request));
                                           }));
  server_->start();
}
FakeKinesis::~FakeKinesis() { server_->stop(std::chrono::seconds(1)); }

void FakeKinesis::setFault(Fault fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

http::Response FakeKinesis::refusal(int status, const std::string& type, const std::string& message) {
  return {.status = status, .body = FakeJson{{"__type", type}, {"message", message}}.dump()};
}

void FakeKinesis::addShard(const std::string& shard, std::vector<std::string> parents) {
  const std::lock_guard lock(mutex_);
  shards_[shard].parents = std::move(parents);
}
void FakeKinesis::closeShard(const std::string& shard) {
  const std::lock_guard lock(mutex_);
  shards_.at(shard).closed = true;
  pushAll();
}
void FakeKinesis::removeShard(const std::string& shard) {
  const std::lock_guard lock(mutex_);
  shards_.erase(shard);
}
std::string FakeKinesis::put(const std::string& shard, const std::string& data, std::chrono::milliseconds age) {
  const std::lock_guard lock(mutex_);
  shards_.at(shard).records.push_back({++next_, data, nowSeconds() - static_cast<double>(age.count()) / 1e3});
  const std::string sequence = std::to_string(next_);
  pushAll();
  return sequence;
}
void FakeKinesis::putObject(const std::string& key, const std::string& body, std::chrono::milliseconds age) {
  const std::time_t at = std::time(nullptr) - std::chrono::duration_cast<std::chrono::seconds>(age).count();
  std::tm parts{};
  gmtime_r(&at, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  const std::lock_guard lock(mutex_);
  objects_["/none/" + key] = {.headers = {{"etag", "\"1\""}, {"last-modified", text}}, .body = body};
}
http::Response FakeKinesis::object(const http::Request& request) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(request.path);
  return found != objects_.end() ? found->second : http::Response{.status = 404};
}
void FakeKinesis::trim(const std::string& shard, std::size_t count) {
  const std::lock_guard lock(mutex_);
  std::vector<Record>& records = shards_.at(shard).records;
  records.erase(records.begin(), records.begin() + static_cast<std::ptrdiff_t>(count));
}
std::size_t FakeKinesis::asked(const std::string& action) const {
  const std::lock_guard lock(mutex_);
  const auto found = asked_.find(action);
  return found == asked_.end() ? 0 : found->second;
}

SourceOptions FakeKinesis::options() const {
  SourceOptions options;
  options.stream = "fake";
  options.bucket = "none";
  options.manifest.clear();
  options.tables = {
      {.table = "t", .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false}}, .primaryKey = {"id"}}};
  options.region = "us-east-1";
  options.kinesisEndpoint = server_->url();
  options.s3Endpoint = server_->url();
  options.pathStyle = true;
  options.credentials = staticCredentials({.accessKeyId = "id", .secretAccessKey = "secret"});
  options.readInterval = std::chrono::milliseconds(2);
  options.backoff = {
      .firstDelay = std::chrono::milliseconds(1), .maxDelay = std::chrono::milliseconds(10), .maxRetries = 20};
  return options;
}

std::string FakeKinesis::insert(std::int64_t id) {
  return fmt::format(R"({{"table":"t","action":"INSERT","row":{{"id":{}}}}})", id);
}

http::Response FakeKinesis::answer(const http::Request& request) {
  const std::string target(request.headers.get("x-amz-target"));
  if (target.empty()) return object(request);
  Asked asked{.action = target.substr(target.find('.') + 1), .date = std::string(request.headers.get("x-amz-date"))};
  const FakeJson body = FakeJson::parse(request.body, nullptr, false);
  const std::string iterator = body.value("ShardIterator", "");
  asked.shard = iterator.empty() ? body.value("ShardId", "") : iterator.substr(0, iterator.find(':'));
  const std::lock_guard lock(mutex_);
  if (auto fault = faultFor(asked)) return *fault;
  if (asked.action == "DescribeStreamSummary") {
    return {.body = R"({"StreamDescriptionSummary":{"StreamStatus":"ACTIVE","RetentionPeriodHours":24,)"
                    R"("StreamARN":"arn:aws:kinesis:us-east-1:1:stream/fake"}})"};
  }
  if (asked.action.ends_with("StreamConsumer")) return answerAboutConsumers(asked.action, request);
  if (asked.action == "ListShards") return {.body = listShards(body.value("NextToken", ""))};
  if (!shards_.contains(asked.shard)) return refusal(400, "ResourceNotFoundException");
  if (asked.action == "GetShardIterator") {
    return {.body = iteratorFor(asked.shard, body.value("ShardIteratorType", ""),
                                body.value("StartingSequenceNumber", ""), body.value("Timestamp", 0.0))};
  }
  return {.body = recordsAt(iterator)};
}

std::optional<http::Response> FakeKinesis::faultFor(const Asked& asked) {
  ++asked_[asked.action];
  return fault_ ? fault_(asked) : std::nullopt;
}

/// One shard a page.
std::string FakeKinesis::listShards(const std::string& next) {
  FakeJson page{{"Shards", FakeJson::array()}};
  auto at = next.empty() ? shards_.begin() : shards_.find(next);
  if (at != shards_.end()) {
    FakeJson shard{{"ShardId", at->first}};
    const std::vector<std::string>& parents = at->second.parents;
    if (!parents.empty()) shard["ParentShardId"] = parents[0];
    if (parents.size() > 1) shard["AdjacentParentShardId"] = parents[1];
    page["Shards"].push_back(shard);
    if (++at != shards_.end()) page["NextToken"] = at->first;
  }
  return page.dump();
}

std::uint64_t FakeKinesis::firstOf(const std::string& shard, const std::string& type, const std::string& sequence,
                                   double time) {
  std::uint64_t from = 0;
  if (type == "AT_TIMESTAMP") {
    from = next_ + 1;
    for (const Record& record : shards_.at(shard).records) {
      if (record.arrival >= time) from = std::min(from, record.sequence);
    }
  }
  if (type == "AT_SEQUENCE_NUMBER") from = std::stoull(sequence);
  if (type == "AFTER_SEQUENCE_NUMBER") from = std::stoull(sequence) + 1;
  return from;
}

std::string FakeKinesis::iteratorFor(const std::string& shard, const std::string& type, const std::string& sequence,
                                     double time) {
  return FakeJson{{"ShardIterator", fmt::format("{}:{}", shard, firstOf(shard, type, sequence, time))}}.dump();
}

std::string FakeKinesis::recordsAt(const std::string& iterator) {
  const std::size_t colon = iterator.find(':');
  const Shard& shard = shards_.at(iterator.substr(0, colon));
  std::uint64_t from = std::stoull(iterator.substr(colon + 1));
  FakeJson records = FakeJson::array();
  std::size_t left = 0;
  for (const Record& record : shard.records) {
    if (record.sequence < from) continue;
    if (records.size() == 3) {  // small answers, so that there are many
      ++left;
      continue;
    }
    records.push_back({{"SequenceNumber", std::to_string(record.sequence)},
                       {"Data", tidegate::detail::base64Of(record.data)},
                       {"ApproximateArrivalTimestamp", record.arrival}});
  }
  if (!records.empty()) from = std::stoull(records.back()["SequenceNumber"].get<std::string>()) + 1;
  FakeJson answer{{"Records", records}, {"MillisBehindLatest", left * 1'000}};
  if (!shard.closed || left > 0) answer["NextShardIterator"] = fmt::format("{}:{}", iterator.substr(0, colon), from);
  return answer.dump();
}

}  // namespace tidegate::kinesis::testing
