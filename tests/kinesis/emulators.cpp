#include "kinesis/emulators.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <thread>

#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"
#include "kinesis/detail/aws_service.h"

namespace tidegate::kinesis::testing {
namespace {

using Document = nlohmann::json;

detail::AwsServiceOptions emulated(const char* service, const std::string& url) {
  return {.service = service,
          .region = "us-east-1",
          .endpoint = url,
          .credentials = staticCredentials({.accessKeyId = "S3RVER", .secretAccessKey = "S3RVER"})};
}

}  // namespace

std::string emulatorUrl(const char* variable) {
  if (const char* value = std::getenv(variable); value != nullptr && *value != '\0') return value;
  throw std::runtime_error(std::string(variable) +
                           " is not set: run this test as `tests/kinesis/with_emulators.sh <command>`");
}

std::uint16_t portOf(const std::string& url) {
  return static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1)));
}

std::string freshName(std::string_view prefix) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}-{}-{}", prefix, ::getpid(), ++count);
}

Kinesalite::Kinesalite(std::string url) : url_(std::move(url)) {}

std::string Kinesalite::call(const std::string& action, const std::string& body) {
  detail::AwsService service(emulated("kinesis", url_));
  return service.call(client_, detail::jsonRequest("Kinesis_20131202." + action, "1.1", body), action, {}).body;
}

void Kinesalite::create(const std::string& stream, unsigned shards) {
  call("CreateStream", Document{{"StreamName", stream}, {"ShardCount", shards}}.dump());
  const std::string named = Document{{"StreamName", stream}}.dump();
  while (Document::parse(call("DescribeStreamSummary", named))["StreamDescriptionSummary"]["StreamStatus"] !=
         "ACTIVE") {
    std::this_thread::yield();
  }
}

Kinesalite::Put Kinesalite::put(const std::string& stream, std::string_view data, const std::string& partitionKey) {
  const Document answer = Document::parse(
      call("PutRecord",
           Document{{"StreamName", stream}, {"Data", tidegate::detail::base64Of(data)}, {"PartitionKey", partitionKey}}
               .dump()));
  return {answer["ShardId"].get<std::string>(), answer["SequenceNumber"].get<std::string>()};
}

void Kinesalite::putMany(const std::string& stream,
                         const std::vector<std::pair<std::string, std::string>>& dataAndKeys) {
  Document records = Document::array();
  for (const auto& [data, key] : dataAndKeys) {
    records.push_back({{"Data", tidegate::detail::base64Of(data)}, {"PartitionKey", key}});
  }
  const Document answer =
      Document::parse(call("PutRecords", Document{{"StreamName", stream}, {"Records", records}}.dump()));
  if (answer["FailedRecordCount"] != 0) throw std::runtime_error("a record was refused");
}

void Kinesalite::split(const std::string& stream, const std::string& shard) {
  const Document list = Document::parse(call("ListShards", Document{{"StreamName", stream}}.dump()));
  for (const Document& one : list["Shards"]) {
    if (one["ShardId"] != shard) continue;
    // In its middle: the numbers have up to 39 digits, so half of the end's is taken digit by digit.
    const std::string first = one["HashKeyRange"]["StartingHashKey"], last = one["HashKeyRange"]["EndingHashKey"];
    std::string sum;
    int carry = 0;
    const std::string padded = std::string(last.size() - first.size(), '0') + first;
    for (std::size_t i = last.size(); i-- > 0;) {
      const int digit = (last[i] - '0') + (padded[i] - '0') + carry;
      sum.insert(sum.begin(), static_cast<char>('0' + digit % 10));
      carry = digit / 10;
    }
    if (carry != 0) sum.insert(sum.begin(), '1');
    std::string half;
    int left = 0;
    for (const char c : sum) {
      left = left * 10 + (c - '0');
      if (!half.empty() || left / 2 != 0) half.push_back(static_cast<char>('0' + left / 2));
      left %= 2;
    }
    call("SplitShard", Document{{"StreamName", stream}, {"ShardToSplit", shard}, {"NewStartingHashKey", half}}.dump());
  }
  const std::string named = Document{{"StreamName", stream}}.dump();
  while (Document::parse(call("DescribeStreamSummary", named))["StreamDescriptionSummary"]["StreamStatus"] !=
         "ACTIVE") {
    std::this_thread::yield();
  }
}

void Kinesalite::merge(const std::string& stream, const std::string& first, const std::string& second) {
  call("MergeShards",
       Document{{"StreamName", stream}, {"ShardToMerge", first}, {"AdjacentShardToMerge", second}}.dump());
  const std::string named = Document{{"StreamName", stream}}.dump();
  while (Document::parse(call("DescribeStreamSummary", named))["StreamDescriptionSummary"]["StreamStatus"] !=
         "ACTIVE") {
    std::this_thread::yield();
  }
}

std::vector<Kinesalite::Shard> Kinesalite::shards(const std::string& stream) {
  const Document list = Document::parse(call("ListShards", Document{{"StreamName", stream}}.dump()));
  std::vector<Shard> found;
  for (const Document& one : list["Shards"]) {
    found.push_back({one["ShardId"].get<std::string>(), !one["SequenceNumberRange"].contains("EndingSequenceNumber")});
  }
  return found;
}

void putObject(const std::string& url, const std::string& key, std::string body) {
  detail::AwsService service(emulated("s3", url));
  http::Client client({.acceptCompressed = false});
  service.call(client, {.method = "PUT", .path = "/snapshots/" + key, .body = std::move(body)}, "PUT of " + key, {});
}

}  // namespace tidegate::kinesis::testing
