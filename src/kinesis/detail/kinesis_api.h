/// What we ask of Kinesis Data Streams, and what it answers.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/aws_service.h"
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
  std::chrono::hours retention{24};
};

struct StreamRecord {
  std::string sequence{};
  std::string data{};  ///< decoded
  std::int64_t arrivalMillis = 0;
};

/// One answer of GetRecords.
struct RecordsAnswer {
  std::vector<StreamRecord> records{};
  std::string nextIterator{};  ///< empty: the shard was closed and is read to its end
  std::int64_t millisBehind = 0;
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
