/// The records of a stream log, and the frames around them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "durable_streams/detail/stream.h"

namespace tidegate::durable_streams::detail {

inline constexpr std::size_t kSegmentHeader = 32;
inline constexpr std::size_t kBatchHeader = 24;
/// Before an append's octets in the file stands their checksum.
inline constexpr std::size_t kDataChecksum = 8;
/// What an append's record takes beside its octets, for accounts of what is in use.
inline constexpr std::size_t kRecordOverhead = 32;

enum class RecordKind : std::uint8_t { state = 1, append = 2, move = 3, remove = 4, softDelete = 5, note = 6 };

/// An append, or a close without one.
struct AppendRecord {
  std::uint64_t stream = 0;
  Position start = 0;
  bool close = false;
  std::optional<std::string_view> seq{};
  const ProducerStamp* producer = nullptr;
  std::string_view octets{};
};

/// A record as it is read. The views are into the batch.
struct Record {
  RecordKind kind{};
  std::uint32_t bytes = 0;  ///< of the whole record
  std::uint64_t stream = 0;
  Position start = 0;                ///< append, move
  bool close = false;                ///< append
  std::optional<std::string> seq{};  ///< append
  std::optional<ProducerStamp> producer{};
  std::string_view octets{};  ///< append, move
  std::size_t dataAt = 0;     ///< offset of `octets` in the records
  std::string_view state{};   ///< state: see `readState`
  std::string_view key{};     ///< note
  std::string_view value{};   ///< note
};

/// Appends a record. @return the offset of its octets in `out`, 0 where it has none.
std::size_t putAppendRecord(const AppendRecord& record, std::string& out);
std::size_t putMoveRecord(std::uint64_t stream, Position start, std::string_view octets, std::string& out);
void putStateRecord(const Stream& stream, std::string& out);
void putIdRecord(RecordKind kind, std::uint64_t stream, std::string& out);
void putNoteRecord(std::string_view key, std::string_view value, std::string& out);

/// Splits a batch's records; `next` gives them in order until nullopt.
/// @throws Error{storeCorrupt} for what no writer wrote.
class RecordReader {
 public:
  explicit RecordReader(std::string_view records) : records_(records) {}
  std::optional<Record> next();
  /// Offset of the record that `next` gives next.
  std::size_t at() const noexcept { return at_; }

 private:
  std::string_view records_;
  std::size_t at_ = 0;
};

/// Fills everything of `stream` that a state record holds; its extents and content stay.
/// @throws Error{storeCorrupt}.
void readState(std::string_view state, Stream& stream);

/// Checksum of an append's octets, as it stands before them.
std::uint64_t dataChecksum(std::string_view octets);

/// The first octets of a segment's file.
std::string segmentHeader(std::uint32_t number, std::uint64_t seed);
struct SegmentHead {
  std::uint32_t version = 0;
  std::uint32_t number = 0;
  std::uint64_t seed = 0;
};
/// nullopt where it is not one, or its checksum is wrong.
std::optional<SegmentHead> readSegmentHeader(std::string_view octets);

/// Fills in the header of a batch: `octets` begin with room for it.
void sealBatch(std::string& octets, std::uint64_t commit, std::uint64_t seed);
struct BatchHead {
  std::uint32_t size = 0;  ///< of the records
  std::uint64_t commit = 0;
  std::uint64_t checksum = 0;
};
/// nullopt where there is no batch's mark.
std::optional<BatchHead> readBatchHeader(std::string_view octets);
bool batchIsWhole(const BatchHead& head, std::string_view records, std::uint64_t seed);

}  // namespace tidegate::durable_streams::detail
