/// Records that the Kinesis Producer Library put together ("KPL Aggregated Record Format"): four octets of magic, a
/// protobuf message AggregatedRecord, its MD5.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::kinesis::detail {

/// One of the records in it.
struct KplPart {
  std::string_view data{};  ///< points into the whole
  std::string_view partitionKey{};
  std::string_view explicitHashKey{};  ///< decimal; empty: the MD5 of the partition key counts
};

/// Whether it begins as one and its checksum holds. Others are plain records, whatever they begin with.
bool isAggregated(std::string_view record);
/// The parts. @throws Error{parseError} where its checksum holds and it still is none.
std::vector<KplPart> partsOf(std::string_view record);

/// What of the hash keys' space a shard has: decimal texts of up to 39 digits, both included.
struct HashRange {
  std::string first{};
  std::string last{};
};
/// Whether a part belongs to that shard. A producer that did not know of a reshard sends such parts again to where they
/// belong, so they must not be taken here. An empty range takes all.
bool belongs(const KplPart& part, const HashRange& range);

}  // namespace tidegate::kinesis::detail
