#include "tidegate/kinesis/dynamo_state_store.h"

#include <fmt/format.h>

#include <charconv>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "core/detail/json_tree.h"
#include "kinesis/detail/aws_service.h"
#include "kinesis/detail/base64.h"
#include "tidegate/core/json.h"
#include "tidegate/source/backoff.h"

namespace tidegate::kinesis {
namespace {

using tidegate::detail::JsonKind;
using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

/// Below DynamoDB's 400 KB of an item, names and base64 aside.
constexpr std::size_t kChunkBytes = 300'000;
constexpr std::size_t kMostChunks = 10'000;

std::string quotedText(std::string_view text) {
  std::string out;
  appendJsonString(text, out);
  return out;
}

/// What an entry's first item says: its octets, or how many chunks of which writing have them.
struct EntryHead {
  std::string octets{};
  std::string writing{};
  std::size_t chunks = 0;
};

class DynamoStateStore final : public StateStore {
 public:
  explicit DynamoStateStore(DynamoStateStoreOptions options)
      : options_(std::move(options)), service_(serviceFor(options_)), client_({.acceptCompressed = false}) {
    if (options_.createMissing) createMissing();
    awaitActive();
  }

  std::optional<std::string> get(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    // The chunks of a writing may be removed while they are read: then there is a newer one.
    for (int tries = 0; tries < 10; ++tries) {
      const auto head = headOf(key);
      if (!head) return std::nullopt;
      if (auto octets = wholeOf(key, *head)) return octets;
    }
    throw Error(
        ErrorCode::storeCorrupt, Retry::afterOperator,
        fmt::format("DynamoDB table \"{}\": an entry lacks parts of it; remove it to begin anew", options_.table));
  }

  void put(std::string_view key, std::string_view octets) override {
    const std::lock_guard lock(mutex_);
    for (int tries = 0; tries < 20; ++tries) {
      const auto before = headOf(key);
      if (tryPut(key, octets, before)) return removeChunks(key, before);
    }
    throw Error(ErrorCode::storeUnavailable, Retry::later,
                fmt::format("DynamoDB table \"{}\": others write the same entry all the time", options_.table));
  }

  void remove(std::string_view key) override {
    const std::lock_guard lock(mutex_);
    const auto before = headOf(key);
    call("DeleteItem", fmt::format("{{\"TableName\":{},\"Key\":{{\"k\":{{\"S\":{}}}}}}}", quotedText(options_.table),
                                   quotedText(headKey(key))));
    removeChunks(key, before);
  }

  bool putIf(std::string_view key, std::optional<std::string_view> expected, std::string_view octets) override {
    const std::lock_guard lock(mutex_);
    const auto before = headOf(key);
    if (before.has_value() != expected.has_value()) return false;
    // The writing that was seen here is the condition: whoever was between would have given it another one.
    if (before && wholeOf(key, *before) != expected) return false;
    if (!tryPut(key, octets, before)) return false;
    removeChunks(key, before);
    return true;
  }

 private:
  static detail::AwsServiceOptions serviceFor(DynamoStateStoreOptions& options) {
    if (options.table.empty()) {
      throw Error(ErrorCode::invalidConfig, Retry::never, "kinesis::dynamoStateStore: it needs a table");
    }
    if (options.region.empty()) options.region = defaultRegion();
    if (options.region.empty()) {
      throw Error(ErrorCode::invalidConfig, Retry::never, "kinesis::dynamoStateStore: set region, or AWS_REGION");
    }
    return {.service = "dynamodb",
            .region = options.region,
            .endpoint = options.endpoint.empty() ? fmt::format("https://dynamodb.{}.amazonaws.com", options.region)
                                                 : options.endpoint,
            .credentials = options.credentials ? options.credentials : defaultCredentials({.region = options.region}),
            .clock = options.clock};
  }
  static std::string headKey(std::string_view key) { return "h/" + detail::base64Of(key); }
  static std::string chunkKey(std::string_view key, const std::string& writing, std::size_t number) {
    return fmt::format("c/{}/{}/{}", detail::base64Of(key), writing, number);
  }

  /// Tries again what may succeed: every write here says the same twice. @throws Error{storeUnavailable}, or AwsError
  /// for a condition that did not hold or a table that is missing.
  std::string call(std::string_view action, const std::string& body) {
    Backoff backoff(
        {.firstDelay = std::chrono::milliseconds(20), .maxDelay = std::chrono::seconds(2), .maxRetries = 8});
    for (;;) {
      std::string why;
      try {
        return service_
            .call(client_, detail::jsonRequest(fmt::format("DynamoDB_20120810.{}", action), "1.0", body),
                  fmt::format("{} on table \"{}\"", action, options_.table), {})
            .body;
      } catch (const detail::AwsError& e) {
        const bool later =
            e.failure() == detail::AwsFailure::throttled || e.failure() == detail::AwsFailure::unavailable;
        if (!later) throw;
        why = e.message();
      } catch (const Error& e) {
        if (e.retry() != Retry::later && e.retry() != Retry::outcomeUnknown) throw;
        why = e.message();
      }
      const auto pause = backoff.next();
      if (!pause) throw Error(ErrorCode::storeUnavailable, Retry::later, why);
      systemScheduler().waitFor(*pause, {});
    }
  }
  /// The same, its failures being the store's.
  std::string need(std::string_view action, const std::string& body) {
    try {
      return call(action, body);
    } catch (const detail::AwsError& e) {
      throw Error(ErrorCode::storeUnavailable, Retry::afterOperator, e.message());
    }
  }

  std::string itemOf(const std::string& k) {
    return need("GetItem", fmt::format("{{\"TableName\":{},\"ConsistentRead\":true,\"Key\":{{\"k\":{{\"S\":{}}}}}}}",
                                       quotedText(options_.table), quotedText(k)));
  }
  static std::string textIn(const JsonRef& item, std::string_view name, std::string_view type) {
    const auto attribute = item.find(name);
    const auto value = attribute ? attribute->find(type) : std::nullopt;
    return value ? std::string(value->string()) : std::string();
  }
  std::optional<std::string> octetsOf(const std::string& answer) {
    const JsonTree tree(answer);
    const auto item = tree.root().find("Item");
    if (!item) return std::nullopt;
    std::string octets;
    if (detail::appendBase64Decoded(textIn(*item, "v", "B"), octets)) return octets;
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                fmt::format("DynamoDB table \"{}\" holds an item that is not ours", options_.table));
  }
  std::optional<EntryHead> headOf(std::string_view key) {
    const std::string answer = itemOf(headKey(key));
    auto octets = octetsOf(answer);
    if (!octets) return std::nullopt;
    const JsonTree tree(answer);
    const JsonRef item = tree.root().member("Item");
    EntryHead head{.octets = std::move(*octets), .writing = textIn(item, "w", "S")};
    const std::string chunks = textIn(item, "n", "N");
    const auto read = std::from_chars(chunks.data(), chunks.data() + chunks.size(), head.chunks);
    if (!chunks.empty() && (read.ec != std::errc() || read.ptr != chunks.data() + chunks.size())) {
      throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                  fmt::format("DynamoDB table \"{}\" holds an item that is not ours", options_.table));
    }
    return head;
  }

  /// nullopt where a newer writing took its chunks away meanwhile.
  std::optional<std::string> wholeOf(std::string_view key, const EntryHead& head) {
    if (head.chunks == 0) return head.octets;
    std::string octets;
    for (std::size_t i = 0; i < head.chunks; ++i) {
      const auto chunk = octetsOf(itemOf(chunkKey(key, head.writing, i)));
      if (!chunk) return std::nullopt;
      octets += *chunk;
    }
    return octets;
  }

  void putItem(const std::string& attributes, const std::string& condition) {
    call("PutItem",
         fmt::format("{{\"TableName\":{},\"Item\":{{{}}}{}}}", quotedText(options_.table), attributes, condition));
  }
  /// Chunks first, then the head, if it is still the one that was seen. @return false: another writer was first.
  bool tryPut(std::string_view key, std::string_view octets, const std::optional<EntryHead>& before) {
    const std::string writing =
        detail::sha256Hex(fmt::format("{}/{}/{}/{}", before ? before->writing : "", salt_, ++writings_, octets.size()))
            .substr(0, 32);
    const std::size_t chunks = octets.size() <= kChunkBytes ? 0 : (octets.size() + kChunkBytes - 1) / kChunkBytes;
    if (chunks > kMostChunks) throw Error(ErrorCode::invalidArgument, Retry::never, "the entry is over 3 GB");
    try {
      for (std::size_t i = 0; i < chunks; ++i) {
        putItem(fmt::format("\"k\":{{\"S\":{}}},\"v\":{{\"B\":\"{}\"}}", quotedText(chunkKey(key, writing, i)),
                            detail::base64Of(octets.substr(i * kChunkBytes, kChunkBytes))),
                "");
      }
      const std::string seen =
          before ? fmt::format(
                       ",\"ConditionExpression\":\"w = :w\",\"ExpressionAttributeValues\":{{\":w\":{{\"S\":\"{}\"}}}}",
                       before->writing)
                 : std::string(",\"ConditionExpression\":\"attribute_not_exists(k)\"");
      putItem(fmt::format("\"k\":{{\"S\":{}}},\"w\":{{\"S\":\"{}\"}},\"n\":{{\"N\":\"{}\"}},\"v\":{{\"B\":\"{}\"}}",
                          quotedText(headKey(key)), writing, chunks,
                          chunks == 0 ? detail::base64Of(octets) : std::string()),
              seen);
      return true;
    } catch (const detail::AwsError& e) {
      if (e.failure() != detail::AwsFailure::changed) {
        throw Error(ErrorCode::storeUnavailable, Retry::afterOperator, e.message());
      }
    }
    // An answer that was lost may have been ours.
    const auto now = headOf(key);
    if (now && now->writing == writing) return true;
    removeChunks(key, EntryHead{.writing = writing, .chunks = chunks});
    return false;
  }
  void removeChunks(std::string_view key, const std::optional<EntryHead>& of) {
    for (std::size_t i = 0; of && i < of->chunks; ++i) {
      need("DeleteItem", fmt::format("{{\"TableName\":{},\"Key\":{{\"k\":{{\"S\":{}}}}}}}", quotedText(options_.table),
                                     quotedText(chunkKey(key, of->writing, i))));
    }
  }

  void createMissing() {
    try {
      call("CreateTable",
           fmt::format("{{\"TableName\":{},\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":[{{"
                       "\"AttributeName\":\"k\",\"AttributeType\":\"S\"}}],\"KeySchema\":[{{\"AttributeName\":\"k\","
                       "\"KeyType\":\"HASH\"}}]}}",
                       quotedText(options_.table)));
    } catch (const detail::AwsError& e) {
      if (e.failure() != detail::AwsFailure::busy) {
        throw Error(ErrorCode::storeUnavailable, Retry::afterOperator, e.message());
      }
    }
  }
  void awaitActive() {
    const std::string body = fmt::format("{{\"TableName\":{}}}", quotedText(options_.table));
    for (int tries = 0; tries < 600; ++tries) {
      const std::string answer = need("DescribeTable", body);
      const JsonTree tree(answer);
      const auto table = tree.root().find("Table");
      const auto status = table ? table->find("TableStatus") : std::nullopt;
      if (status && status->kind() == JsonKind::string && status->string() != "CREATING") return;
      systemScheduler().waitFor(std::chrono::milliseconds(100), {});
    }
    throw Error(ErrorCode::storeUnavailable, Retry::later,
                fmt::format("DynamoDB table \"{}\" did not become active", options_.table));
  }

  DynamoStateStoreOptions options_;
  std::mutex mutex_;
  detail::AwsService service_;  ///< guarded by mutex_, as all below
  http::Client client_;
  const std::string salt_ =
      std::to_string(systemClock().wallNow().count()) + "/" + std::to_string(reinterpret_cast<std::uintptr_t>(this));
  std::uint64_t writings_ = 0;
};

}  // namespace

std::shared_ptr<StateStore> dynamoStateStore(DynamoStateStoreOptions options) {
  return std::make_shared<DynamoStateStore>(std::move(options));
}

}  // namespace tidegate::kinesis
