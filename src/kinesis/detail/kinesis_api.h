/// What we ask of Kinesis Data Streams, and what it answers.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/aws_service.h"
#include "kinesis/detail/event_stream.h"
#include "kinesis/detail/kpl.h"
#include "kinesis/detail/place.h"

namespace tidegate::kinesis::detail {

struct ShardInfo {
  std::string id{};
  std::vector<std::string> parents{};
  HashRange range{};
};

struct StreamSummary {
  std::string status{};  ///< "ACTIVE", …
  std::string arn{};
  std::chrono::hours retention{24};
};

struct StreamRecord {
  std::string sequence{};
  std::string data{};  ///< decoded
  std::int64_t arrivalMillis = 0;
};

/// One answer of GetRecords, or one event of a subscription.
struct RecordsAnswer {
  std::vector<StreamRecord> records{};
  /// Where the next one goes on: an iterator, or a subscription's sequence number. Empty: the shard was closed and is
  /// read to its end.
  std::string nextIterator{};
  std::int64_t millisBehind = 0;
};

/// A registered consumer of enhanced fan-out.
struct StreamConsumer {
  std::string arn{};
  std::string status{};  ///< "CREATING", "ACTIVE", "DELETING"
};

/// @thread One at a time.
class KinesisApi {
 public:
  /// @param stream its name or its ARN
  KinesisApi(AwsServiceOptions service, std::string stream);

  StreamSummary summary(http::Client& client, const std::stop_token& stop);
  /// All shards that still have records, closed ones included; every page.
  std::vector<ShardInfo> shards(http::Client& client, const std::stop_token& stop);

  http::ClientRequest iteratorRequest(const std::string& shard, const ShardPlace& from, const std::stop_token& stop);
  http::ClientRequest recordsRequest(const std::string& iterator, std::uint32_t limit, const std::stop_token& stop);

  /// By its ARN, or by its name and the stream's ARN; nothing where there is none. @throws AwsError
  std::optional<StreamConsumer> consumer(http::Client& client, const std::string& streamArn,
                                         const std::string& consumer, const std::stop_token& stop);
  /// @throws AwsError{busy} where one of that name is there, {throttled} where there are too many or too quickly.
  StreamConsumer registerConsumer(http::Client& client, const std::string& streamArn, const std::string& name,
                                  const std::stop_token& stop);
  void deregisterConsumer(http::Client& client, const std::string& consumerArn, const std::stop_token& stop);
  /// @param after where the last subscription ended; empty: `from` counts.
  http::ClientRequest subscribeRequest(const std::string& consumerArn, const std::string& shard, const ShardPlace& from,
                                       const std::string& after, const std::stop_token& stop);
  /// The payload of a SubscribeToShardEvent. @throws Error{parseError, Retry::later}
  static RecordsAnswer eventOf(const std::string& payload);
  /// What an exception or an error within a subscription means. `fields` are those of its answer.
  AwsError exceptionIn(const EventMessage& message, const http::Headers& fields, std::string_view what);

  /// Why an answer is no success.
  std::optional<AwsError> failureOf(const http::Response& answer, std::string_view what);
  /// @throws Error{parseError, Retry::later}
  static std::string iteratorOf(const http::Response& answer);
  static RecordsAnswer recordsOf(const http::Response& answer);

  const std::string& stream() const noexcept { return stream_; }

 private:
  /// `"StreamName":"…"`, or the ARN's member.
  std::string streamMember() const;

  AwsService service_;
  std::string stream_;
};

}  // namespace tidegate::kinesis::detail
