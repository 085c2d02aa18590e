#include "durable_streams/detail/record.h"

#include <fmt/format.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstring>

#include "core/detail/packed.h"
#include "durable_streams/detail/json_body.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

namespace {

using tidegate::detail::PackedReader;
using tidegate::detail::putFixed64;
using tidegate::detail::putText;
using tidegate::detail::putVarint;

constexpr std::uint32_t kSegmentMark = 0x53474454;  // "TDGS"
constexpr std::uint32_t kBatchMark = 0x42474454;    // "TDGB"
constexpr std::uint32_t kSegmentVersion = 1;
constexpr std::uint64_t kDataSeed = 0x7469646567617465;  // "tidegate"

constexpr std::uint64_t kMostSeconds = std::uint64_t{1} << 53;

constexpr std::uint8_t kFlagClose = 1;
constexpr std::uint8_t kFlagSeq = 2;
constexpr std::uint8_t kFlagProducer = 4;
constexpr std::uint8_t kFlagDeleted = 8;
constexpr std::uint8_t kFlagFork = 16;
constexpr std::uint8_t kFlagTtl = 32;

void setFixed32(std::string& out, std::size_t at, std::uint32_t v) { std::memcpy(out.data() + at, &v, 4); }
void setFixed64(std::string& out, std::size_t at, std::uint64_t v) { std::memcpy(out.data() + at, &v, 8); }
template <class Number>
Number fixedAt(std::string_view from, std::size_t at) {
  Number v = 0;
  std::memcpy(&v, from.data() + at, sizeof(Number));
  return v;
}

[[noreturn]] void corruptRecord(const std::string& what) {
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator, what);
}

void putStamp(const ProducerStamp& stamp, std::string& out) {
  putText(stamp.id, out);
  putVarint(stamp.epoch, out);
  putVarint(stamp.seq, out);
}

ProducerStamp readStamp(PackedReader& reader) {
  ProducerStamp stamp{.id = std::string(reader.text())};
  stamp.epoch = reader.varint();
  stamp.seq = reader.varint();
  return stamp;
}

/// Length in 4 octets, kind in one, then what `fill` appends.
template <class Fill>
void putRecord(RecordKind kind, std::string& out, const Fill& fill) {
  const std::size_t begin = out.size();
  out.append(4, '\0');
  out.push_back(static_cast<char>(kind));
  fill();
  setFixed32(out, begin, static_cast<std::uint32_t>(out.size() - begin - 4));
}

std::size_t putData(std::string_view octets, std::string& out) {
  putFixed64(dataChecksum(octets), out);
  const std::size_t at = out.size();
  out.append(octets);
  return at;
}

}  // namespace

std::uint64_t dataChecksum(std::string_view octets) {
  return XXH3_64bits_withSeed(octets.data(), octets.size(), kDataSeed);
}

std::size_t putAppendRecord(const AppendRecord& record, std::string& out) {
  std::size_t dataAt = 0;
  putRecord(RecordKind::append, out, [&] {
    putVarint(record.stream, out);
    putVarint(record.start, out);
    out.push_back(static_cast<char>((record.close ? kFlagClose : 0) | (record.seq ? kFlagSeq : 0) |
                                    (record.producer != nullptr ? kFlagProducer : 0)));
    if (record.seq) putText(*record.seq, out);
    if (record.producer != nullptr) putStamp(*record.producer, out);
    dataAt = putData(record.octets, out);
  });
  return dataAt;
}

std::size_t putMoveRecord(std::uint64_t stream, Position start, std::string_view octets, std::string& out) {
  std::size_t dataAt = 0;
  putRecord(RecordKind::move, out, [&] {
    putVarint(stream, out);
    putVarint(start, out);
    dataAt = putData(octets, out);
  });
  return dataAt;
}

void putStateRecord(const Stream& s, std::string& out) {
  putRecord(RecordKind::state, out, [&] {
    putVarint(s.id, out);
    out.push_back(static_cast<char>((s.closed ? kFlagClose : 0) | (s.lastSeq ? kFlagSeq : 0) |
                                    (s.closedBy ? kFlagProducer : 0) | (s.deleted ? kFlagDeleted : 0) |
                                    (s.fork ? kFlagFork : 0) | (s.ttl ? kFlagTtl : 0)));
    putText(s.path, out);
    putText(s.contentType, out);
    putVarint(s.base, out);
    putVarint(s.tail, out);
    if (s.ttl) putVarint(static_cast<std::uint64_t>(s.ttl->count()), out);
    putText(s.expiresAt, out);
    putFixed64(static_cast<std::uint64_t>(s.expiresAtTime.count()), out);
    if (s.fork) {
      putVarint(s.sourceId, out);
      putText(s.fork->source, out);
      putVarint(s.fork->at.value_or(0), out);
      putVarint(s.fork->subPosition, out);
    }
    if (s.lastSeq) putText(*s.lastSeq, out);
    if (s.closedBy) putStamp(*s.closedBy, out);
    putVarint(s.producers ? s.producers->size() : 0, out);
    if (!s.producers) return;
    for (const auto& [id, p] : *s.producers) putStamp({id, p.epoch, p.lastSeq}, out);
  });
}

void putIdRecord(RecordKind kind, std::uint64_t stream, std::string& out) {
  putRecord(kind, out, [&] { putVarint(stream, out); });
}

void putNoteRecord(std::string_view key, std::string_view value, std::string& out) {
  putRecord(RecordKind::note, out, [&] {
    putText(key, out);
    putText(value, out);
  });
}

std::optional<Record> RecordReader::next() {
  if (at_ == records_.size()) return std::nullopt;
  if (records_.size() - at_ < 5) corruptRecord("a record that its batch cuts");
  const auto length = fixedAt<std::uint32_t>(records_, at_);
  if (length == 0 || length > records_.size() - at_ - 4) corruptRecord("a record longer than its batch");
  PackedReader reader(records_.substr(at_ + 4, length));
  Record record{.kind = static_cast<RecordKind>(reader.octet()), .bytes = 4 + length};
  const auto data = [&] {
    const std::uint64_t checksum = reader.fixed64();
    record.octets = reader.raw(reader.left());
    record.dataAt = static_cast<std::size_t>(record.octets.data() - records_.data());
    if (dataChecksum(record.octets) != checksum) corruptRecord("octets that fail their checksum");
  };
  switch (record.kind) {
    case RecordKind::append: {
      record.stream = reader.varint();
      record.start = reader.varint();
      const std::uint8_t flags = reader.octet();
      record.close = (flags & kFlagClose) != 0;
      if ((flags & kFlagSeq) != 0) record.seq = std::string(reader.text());
      if ((flags & kFlagProducer) != 0) record.producer = readStamp(reader);
      data();
      break;
    }
    case RecordKind::move:
      record.stream = reader.varint();
      record.start = reader.varint();
      data();
      break;
    case RecordKind::state:
      record.state = records_.substr(at_ + 5, length - 1);
      record.stream = reader.varint();
      break;
    case RecordKind::remove:
    case RecordKind::softDelete:
      record.stream = reader.varint();
      break;
    case RecordKind::note:
      record.key = reader.text();
      record.value = reader.text();
      break;
    default:
      corruptRecord(fmt::format("a record of unknown kind {}", static_cast<int>(record.kind)));
  }
  at_ += 4 + length;
  return record;
}

void readState(std::string_view state, Stream& s) {
  PackedReader reader(state);
  s.id = reader.varint();
  const std::uint8_t flags = reader.octet();
  s.closed = (flags & kFlagClose) != 0;
  s.deleted = (flags & kFlagDeleted) != 0;
  s.path = reader.text();
  s.contentType = reader.text();
  s.json = normalContentType(s.contentType) == "application/json";
  s.base = reader.varint();
  s.tail = reader.varint();
  s.ttl.reset();
  if ((flags & kFlagTtl) != 0) {
    const std::uint64_t seconds = reader.varint();
    if (seconds > kMostSeconds) corruptRecord("a time to live that no writer takes");
    s.ttl = std::chrono::seconds(static_cast<std::int64_t>(seconds));
  }
  s.expiresAt = reader.text();
  s.expiresAtTime = Clock::Micros(static_cast<std::int64_t>(reader.fixed64()));
  s.fork.reset();
  s.sourceId = 0;
  if ((flags & kFlagFork) != 0) {
    s.sourceId = reader.varint();
    s.fork = ForkPoint{.source = std::string(reader.text())};
    s.fork->at = reader.varint();
    s.fork->subPosition = reader.varint();
  }
  s.lastSeq.reset();
  if ((flags & kFlagSeq) != 0) s.lastSeq = std::string(reader.text());
  s.closedBy.reset();
  if ((flags & kFlagProducer) != 0) s.closedBy = readStamp(reader);
  s.producers.reset();
  const std::uint64_t producers = reader.varint();
  if (producers > reader.left()) corruptRecord("a state record with more producers than octets");
  if (producers > 0) s.producers = std::make_unique<Producers>();
  for (std::uint64_t i = 0; i < producers; ++i) {
    ProducerStamp stamp = readStamp(reader);
    s.producers->insert_or_assign(std::move(stamp.id), ProducerState{.epoch = stamp.epoch, .lastSeq = stamp.seq});
  }
  if (!reader.done() || s.base > s.tail) corruptRecord("a state record that is not as any writer wrote it");
}

std::string segmentHeader(std::uint32_t number, std::uint64_t seed) {
  std::string out(kSegmentHeader, '\0');
  setFixed32(out, 0, kSegmentMark);
  setFixed32(out, 4, kSegmentVersion);
  setFixed64(out, 8, number);
  setFixed64(out, 16, seed);
  setFixed64(out, 24, XXH3_64bits_withSeed(out.data(), 24, kDataSeed));
  return out;
}

std::optional<SegmentHead> readSegmentHeader(std::string_view octets) {
  if (octets.size() < kSegmentHeader || fixedAt<std::uint32_t>(octets, 0) != kSegmentMark) return std::nullopt;
  if (XXH3_64bits_withSeed(octets.data(), 24, kDataSeed) != fixedAt<std::uint64_t>(octets, 24)) return std::nullopt;
  return SegmentHead{fixedAt<std::uint32_t>(octets, 4), static_cast<std::uint32_t>(fixedAt<std::uint64_t>(octets, 8)),
                     fixedAt<std::uint64_t>(octets, 16)};
}

namespace {

std::uint64_t batchChecksum(std::uint32_t size, std::uint64_t commit, std::string_view records, std::uint64_t seed) {
  return XXH3_64bits_withSeed(records.data(), records.size(), seed ^ (commit * 0x9E3779B97F4A7C15ULL + size));
}

}  // namespace

void sealBatch(std::string& octets, std::uint64_t commit, std::uint64_t seed) {
  const auto size = static_cast<std::uint32_t>(octets.size() - kBatchHeader);
  setFixed32(octets, 0, kBatchMark);
  setFixed32(octets, 4, size);
  setFixed64(octets, 8, commit);
  setFixed64(octets, 16, batchChecksum(size, commit, std::string_view(octets).substr(kBatchHeader), seed));
}

std::optional<BatchHead> readBatchHeader(std::string_view octets) {
  if (octets.size() < kBatchHeader || fixedAt<std::uint32_t>(octets, 0) != kBatchMark) return std::nullopt;
  return BatchHead{fixedAt<std::uint32_t>(octets, 4), fixedAt<std::uint64_t>(octets, 8),
                   fixedAt<std::uint64_t>(octets, 16)};
}

bool batchIsWhole(const BatchHead& head, std::string_view records, std::uint64_t seed) {
  return records.size() == head.size && batchChecksum(head.size, head.commit, records, seed) == head.checksum;
}

}  // namespace tidegate::durable_streams::detail
