#include "kinesis/detail/kinesis_api.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <cmath>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"
#include "tidegate/core/json.h"

namespace tidegate::kinesis::detail {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::string_view kJsonVersion = "1.1";
constexpr std::size_t kMostPages = 10'000;
/// Without records a subscription still has an event every few seconds.
constexpr std::chrono::milliseconds kSubscriptionSilence{40'000};

std::string kinesisQuoted(std::string_view text) {
  std::string out;
  appendJsonString(text, out);
  return out;
}

AwsRequest kinesisRequest(std::string_view action, std::string body) {
  return jsonRequest(fmt::format("Kinesis_20131202.{}", action), kJsonVersion, std::move(body));
}

/// Answers are theirs: what does not parse may do so the next time.
[[noreturn]] void refuseAnswer(std::string_view action, std::string_view why) {
  throw Error(ErrorCode::parseError, Retry::later, fmt::format("Kinesis answered {} with what is {}", action, why));
}

std::optional<std::string> textMember(const JsonRef& of, std::string_view name) {
  const auto found = of.find(name);
  if (!found || found->kind() != JsonKind::string) return std::nullopt;
  return std::string(found->string());
}

ShardInfo shardOf(const JsonRef& json) {
  ShardInfo shard;
  const auto id = textMember(json, "ShardId");
  if (!id || id->empty()) refuseAnswer("ListShards", "a shard without its id");
  shard.id = *id;
  for (const char* member : {"ParentShardId", "AdjacentParentShardId"}) {
    if (const auto parent = textMember(json, member)) shard.parents.push_back(*parent);
  }
  if (const auto range = json.find("HashKeyRange"); range && range->kind() == JsonKind::object) {
    shard.range = {textMember(*range, "StartingHashKey").value_or(""),
                   textMember(*range, "EndingHashKey").value_or("")};
  }
  return shard;
}

StreamRecord recordOf(const simdjson::dom::element& json, std::string_view action) {
  StreamRecord record;
  std::string_view sequence, data;
  double arrival = 0;
  if (json["SequenceNumber"].get(sequence) || sequence.empty() ||
      sequence.find_first_not_of("0123456789") != sequence.npos) {
    refuseAnswer(action, "a record without a sequence number");
  }
  if (json["Data"].get(data) || !tidegate::detail::appendFromBase64(data, record.data)) {
    refuseAnswer(action, "a record whose data is no base64");
  }
  record.sequence = sequence;
  if (json["ApproximateArrivalTimestamp"].get(arrival) == simdjson::SUCCESS && arrival > 0 && arrival < 1e11) {
    record.arrivalMillis = std::llround(arrival * 1'000);
  }
  return record;
}

/// Where a shard's reading begins, as members of an object.
std::string startMembers(const ShardPlace& from, std::string_view type, std::string_view sequence) {
  switch (from.kind) {
    case ShardPlaceKind::time:
      return fmt::format("\"{}\":\"AT_TIMESTAMP\",\"Timestamp\":{}.{:03}", type, from.millis / 1'000,
                         from.millis % 1'000);
    case ShardPlaceKind::after:
      // The record itself again: if it does not come, it was trimmed, and perhaps others with it.
      return fmt::format("\"{}\":\"AT_SEQUENCE_NUMBER\",\"{}\":\"{}\"", type, sequence, from.sequence);
    default:
      return fmt::format("\"{}\":\"TRIM_HORIZON\"", type);
  }
}

/// Of a description, or of an answer to a registration.
StreamConsumer consumerIn(const http::Response& answer, std::string_view action, std::string_view member) {
  const auto tree = JsonTree::tryParse(answer.body);
  if (!tree || tree->root().kind() != JsonKind::object) refuseAnswer(action, "no JSON object");
  const auto found = tree->root().find(member);
  if (!found || found->kind() != JsonKind::object) refuseAnswer(action, "no consumer");
  StreamConsumer consumer{.arn = textMember(*found, "ConsumerARN").value_or(""),
                          .status = textMember(*found, "ConsumerStatus").value_or("")};
  if (consumer.arn.empty() || consumer.status.empty()) refuseAnswer(action, "a consumer without ARN or status");
  return consumer;
}

}  // namespace

KinesisApi::KinesisApi(AwsServiceOptions service, std::string stream)
    : service_(std::move(service)), stream_(std::move(stream)) {}

std::string KinesisApi::streamMember() const {
  return fmt::format("\"{}\":{}", stream_.starts_with("arn:") ? "StreamARN" : "StreamName", kinesisQuoted(stream_));
}

std::optional<AwsError> KinesisApi::failureOf(const http::Response& answer, std::string_view what) {
  return service_.failureOf(answer, what);
}

StreamSummary KinesisApi::summary(http::Client& client, const std::stop_token& stop) {
  const http::Response answer =
      service_.call(client, kinesisRequest("DescribeStreamSummary", fmt::format("{{{}}}", streamMember())),
                    fmt::format("DescribeStreamSummary of \"{}\"", stream_), stop);
  const auto tree = JsonTree::tryParse(answer.body);
  if (!tree || tree->root().kind() != JsonKind::object) refuseAnswer("DescribeStreamSummary", "no JSON object");
  const auto description = tree->root().find("StreamDescriptionSummary");
  if (!description || description->kind() != JsonKind::object) refuseAnswer("DescribeStreamSummary", "no description");
  StreamSummary summary{.status = textMember(*description, "StreamStatus").value_or(""),
                        .arn = textMember(*description, "StreamARN").value_or("")};
  if (const auto hours = description->find("RetentionPeriodHours"); hours && hours->kind() == JsonKind::number) {
    const Value value = hours->value();
    if (const auto* number = value.getIf<std::int64_t>()) summary.retention = std::chrono::hours(*number);
  }
  return summary;
}

std::vector<ShardInfo> KinesisApi::shards(http::Client& client, const std::stop_token& stop) {
  std::vector<ShardInfo> all;
  std::string next;
  for (std::size_t page = 0; page < kMostPages; ++page) {
    // A page after the first is named by its token alone.
    const std::string body =
        next.empty() ? fmt::format("{{{}}}", streamMember()) : fmt::format("{{\"NextToken\":{}}}", kinesisQuoted(next));
    const http::Response answer =
        service_.call(client, kinesisRequest("ListShards", body), fmt::format("ListShards of \"{}\"", stream_), stop);
    const auto tree = JsonTree::tryParse(answer.body);
    if (!tree || tree->root().kind() != JsonKind::object) refuseAnswer("ListShards", "no JSON object");
    const auto shards = tree->root().find("Shards");
    if (!shards || shards->kind() != JsonKind::array) refuseAnswer("ListShards", "no list of shards");
    for (const JsonRef& shard : shards->items()) {
      if (shard.kind() != JsonKind::object) refuseAnswer("ListShards", "no list of shards");
      all.push_back(shardOf(shard));
    }
    next = textMember(tree->root(), "NextToken").value_or("");
    if (next.empty()) return all;
  }
  refuseAnswer("ListShards", "a list of shards without an end");
}

http::ClientRequest KinesisApi::iteratorRequest(const std::string& shard, const ShardPlace& from,
                                                const std::stop_token& stop) {
  return service_.sign(kinesisRequest("GetShardIterator",
                                      fmt::format("{{{},\"ShardId\":{},{}}}", streamMember(), kinesisQuoted(shard),
                                                  startMembers(from, "ShardIteratorType", "StartingSequenceNumber"))),
                       stop);
}

http::ClientRequest KinesisApi::recordsRequest(const std::string& iterator, std::uint32_t limit,
                                               const std::stop_token& stop) {
  const std::string arn = stream_.starts_with("arn:") ? "," + streamMember() : std::string();
  return service_.sign(kinesisRequest("GetRecords", fmt::format("{{\"ShardIterator\":{},\"Limit\":{}{}}}",
                                                                kinesisQuoted(iterator), limit, arn)),
                       stop);
}

std::string KinesisApi::iteratorOf(const http::Response& answer) {
  const auto tree = JsonTree::tryParse(answer.body);
  if (!tree || tree->root().kind() != JsonKind::object) refuseAnswer("GetShardIterator", "no JSON object");
  const auto iterator = textMember(tree->root(), "ShardIterator");
  if (!iterator || iterator->empty()) refuseAnswer("GetShardIterator", "no iterator");
  return *iterator;
}

RecordsAnswer KinesisApi::recordsOf(const http::Response& answer) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array records;
  if (parser.parse(answer.body).get(root) || root["Records"].get(records)) {
    refuseAnswer("GetRecords", "no list of records");
  }
  RecordsAnswer out;
  for (const simdjson::dom::element record : records) out.records.push_back(recordOf(record, "GetRecords"));
  std::string_view next;
  if (root["NextShardIterator"].get(next) == simdjson::SUCCESS) out.nextIterator = next;
  std::int64_t behind = 0;
  if (root["MillisBehindLatest"].get(behind) == simdjson::SUCCESS && behind > 0) out.millisBehind = behind;
  return out;
}

std::optional<StreamConsumer> KinesisApi::consumer(http::Client& client, const std::string& streamArn,
                                                   const std::string& consumer, const std::stop_token& stop) {
  const std::string body =
      consumer.starts_with("arn:")
          ? fmt::format("{{\"ConsumerARN\":{}}}", kinesisQuoted(consumer))
          : fmt::format("{{\"StreamARN\":{},\"ConsumerName\":{}}}", kinesisQuoted(streamArn), kinesisQuoted(consumer));
  try {
    const http::Response answer =
        service_.call(client, kinesisRequest("DescribeStreamConsumer", body),
                      fmt::format("DescribeStreamConsumer of \"{}\" at stream \"{}\"", consumer, stream_), stop);
    return consumerIn(answer, "DescribeStreamConsumer", "ConsumerDescription");
  } catch (const AwsError& e) {
    if (e.failure() == AwsFailure::notFound) return std::nullopt;
    throw;
  }
}

StreamConsumer KinesisApi::registerConsumer(http::Client& client, const std::string& streamArn, const std::string& name,
                                            const std::stop_token& stop) {
  const std::string body =
      fmt::format("{{\"StreamARN\":{},\"ConsumerName\":{}}}", kinesisQuoted(streamArn), kinesisQuoted(name));
  const http::Response answer =
      service_.call(client, kinesisRequest("RegisterStreamConsumer", body),
                    fmt::format("RegisterStreamConsumer of \"{}\" at stream \"{}\"", name, stream_), stop);
  return consumerIn(answer, "RegisterStreamConsumer", "Consumer");
}

void KinesisApi::deregisterConsumer(http::Client& client, const std::string& consumerArn, const std::stop_token& stop) {
  service_.call(
      client,
      kinesisRequest("DeregisterStreamConsumer", fmt::format("{{\"ConsumerARN\":{}}}", kinesisQuoted(consumerArn))),
      fmt::format("DeregisterStreamConsumer of \"{}\"", consumerArn), stop);
}

http::ClientRequest KinesisApi::subscribeRequest(const std::string& consumerArn, const std::string& shard,
                                                 const ShardPlace& from, const std::string& after,
                                                 const std::stop_token& stop) {
  const std::string start =
      after.empty() ? startMembers(from, "Type", "SequenceNumber")
                    : fmt::format("\"Type\":\"AFTER_SEQUENCE_NUMBER\",\"SequenceNumber\":{}", kinesisQuoted(after));
  AwsRequest request = kinesisRequest("SubscribeToShard",
                                      fmt::format("{{\"ConsumerARN\":{},\"ShardId\":{},\"StartingPosition\":{{{}}}}}",
                                                  kinesisQuoted(consumerArn), kinesisQuoted(shard), start));
  request.timeout = std::chrono::milliseconds(0);
  request.idleTimeout = kSubscriptionSilence;
  return service_.sign(request, stop);
}

RecordsAnswer KinesisApi::eventOf(const std::string& payload) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  simdjson::dom::array records, children;
  if (parser.parse(payload).get(root) || root["Records"].get(records)) {
    refuseAnswer("SubscribeToShard", "an event without a list of records");
  }
  RecordsAnswer out;
  for (const simdjson::dom::element record : records) out.records.push_back(recordOf(record, "SubscribeToShard"));
  std::int64_t behind = 0;
  if (root["MillisBehindLatest"].get(behind) == simdjson::SUCCESS && behind > 0) out.millisBehind = behind;
  // Children are told with the last event of a shard, which has no place to go on from.
  if (root["ChildShards"].get(children) == simdjson::SUCCESS && children.size() > 0) return out;
  std::string_view next;
  if (root["ContinuationSequenceNumber"].get(next) || next.empty()) {
    refuseAnswer("SubscribeToShard", "an event that says neither where to go on nor which shards follow");
  }
  out.nextIterator = next;
  return out;
}

AwsError KinesisApi::exceptionIn(const EventMessage& message, const http::Headers& fields, std::string_view what) {
  const bool exception = message.header(":message-type") == "exception";
  const std::string code(message.header(exception ? ":exception-type" : ":error-code"));
  std::string text(message.header(":error-message"));
  if (const auto tree = JsonTree::tryParse(message.payload); tree && tree->root().kind() == JsonKind::object) {
    for (const char* member : {"Message", "message"}) text = textMember(tree->root(), member).value_or(text);
  }
  // As the same would have been said before the subscription began.
  return *service_.failureOf(
      {.status = code.starts_with("Internal") ? 500 : 400,
       .headers = fields,
       .body = fmt::format("{{\"__type\":{},\"message\":{}}}", kinesisQuoted(code), kinesisQuoted(text))},
      what);
}

}  // namespace tidegate::kinesis::detail
