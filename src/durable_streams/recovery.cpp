#include "durable_streams/detail/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::string_view kSegmentEnding = ".segment";
constexpr std::size_t kScanPiece = 1u << 20;

std::optional<std::uint32_t> segmentNumber(std::string_view name) {
  if (!name.ends_with(kSegmentEnding)) return std::nullopt;
  name.remove_suffix(kSegmentEnding.size());
  if (name.empty() || name.size() > 10) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : name) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number <= 0xFFFFFFFF ? std::optional(static_cast<std::uint32_t>(number)) : std::nullopt;
}

[[noreturn]] void corruptSegment(const std::string& path, std::uint64_t at, std::string_view what) {
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
              fmt::format("{}: at offset {}: {}; restore the folder from a backup", path, at, what));
}

std::string readUpTo(const File& file, std::uint64_t at, std::uint64_t size) {
  std::string octets(static_cast<std::size_t>(size), '\0');
  octets.resize(file.read(at, octets.data(), octets.size()));
  return octets;
}

/// A whole batch at `at`: its head and its records.
std::optional<std::pair<BatchHead, std::string>> batchAt(const File& file, std::uint64_t at, std::uint64_t fileSize,
                                                         std::uint64_t seed) {
  const auto head = readBatchHeader(readUpTo(file, at, kBatchHeader));
  if (!head || head->size == 0 || head->size > fileSize - at - kBatchHeader) return std::nullopt;
  std::string records = readUpTo(file, at + kBatchHeader, head->size);
  if (!batchIsWhole(*head, records, seed)) return std::nullopt;
  return std::pair(*head, std::move(records));
}

/// Whether a whole batch of a commit after `commit` begins anywhere behind `at`. Only one batch is ever under way, so
/// such a batch shows that what is at `at` had been synced.
bool laterBatchBehind(const File& file, std::uint64_t at, std::uint64_t fileSize, std::uint64_t seed,
                      std::uint64_t commit) {
  constexpr std::string_view kMark = "TDGB";
  for (std::uint64_t piece = at + 1; piece < fileSize; piece += kScanPiece) {
    const std::string octets = readUpTo(file, piece, kScanPiece + kMark.size() - 1);
    for (std::size_t i = octets.find(kMark); i != std::string::npos; i = octets.find(kMark, i + 1)) {
      if (piece + i + kBatchHeader > fileSize) break;
      const auto batch = batchAt(file, piece + i, fileSize, seed);
      if (batch && batch->first.commit > commit) return true;
    }
  }
  return false;
}

/// A stream as its records build it up, whatever their order.
struct Rebuilt {
  std::unique_ptr<Stream> stream = std::make_unique<Stream>();
  bool known = false;                    ///< a state record was seen
  std::map<Position, Extent> extents{};  ///< by where they begin
};

class Rebuilding {
 public:
  explicit Rebuilding(Journal& journal) : journal_(journal) {}

  void take(const Record& record, std::uint32_t segment, std::uint64_t recordsAt) {
    switch (record.kind) {
      case RecordKind::note:
        takeNote(record, segment);
        return;
      case RecordKind::remove:
        streams.erase(record.stream);
        journal_.segments().at(segment)->tombs += record.bytes;
        break;
      case RecordKind::softDelete:
        streams[record.stream].stream->deleted = true;
        break;
      case RecordKind::state: {
        Rebuilt& rebuilt = streams[record.stream];
        readState(record.state, *rebuilt.stream);
        rebuilt.stream->stateSegment = segment;
        rebuilt.stream->stateBytes = record.bytes;
        rebuilt.known = true;
        break;
      }
      case RecordKind::append:
      case RecordKind::move:
        takeExtent(record, segment, recordsAt);
        if (record.kind == RecordKind::append) takeWriter(record);
        break;
    }
    greatestId = std::max(greatestId, record.stream);
  }

  /// Whole streams, or an error that says which is not.
  void finish(StoreCore& core) {
    std::unordered_set<std::string_view> paths;
    for (auto& [id, rebuilt] : streams) {
      Stream& stream = *rebuilt.stream;
      if (!rebuilt.known) incomplete(fmt::format("number {}", id), "its state");
      Position end = stream.base;
      for (auto& [start, extent] : rebuilt.extents) {
        if (start != end) incomplete(stream.path, fmt::format("the octets from {} to {}", end, start));
        end = extent.end;
        stream.extents.push_back(extent);
        journal_.retain(extent, extent.end - start);
      }
      journal_.segments().at(stream.stateSegment)->live += stream.stateBytes;
      if (end != stream.tail) incomplete(stream.path, fmt::format("the octets from {} to {}", end, stream.tail));
      if (stream.sourceId != 0) checkSource(stream);
      if (!paths.insert(stream.path).second) incomplete(stream.path, "a path of its own");
      stream.extents.shrink_to_fit();
    }
    for (auto& [id, rebuilt] : streams) core.adopt(std::move(rebuilt.stream));
    core.linkSources();
    core.nextId(greatestId + 1);
    for (auto& [key, note] : notes) {
      journal_.segments().at(note.segment)->live += note.bytes;
      core.noteMap().emplace(key, std::move(note));
    }
  }

  std::unordered_map<std::uint64_t, Rebuilt> streams;
  std::unordered_map<std::string, Note> notes;
  std::uint64_t greatestId = 0;

 private:
  void checkSource(const Stream& stream) const {
    const auto source = streams.find(stream.sourceId);
    // Ids grow, so a source's is the lesser; else forks could go round in a circle.
    if (source == streams.end() || stream.sourceId >= stream.id) incomplete(stream.path, "its source");
    if (stream.base > source->second.stream->tail) incomplete(stream.path, "a part of its source");
  }

  void takeNote(const Record& record, std::uint32_t segment) {
    const std::string key(record.key);
    if (record.value.empty()) {
      notes.erase(key);
      journal_.segments().at(segment)->tombs += record.bytes;
    } else {
      notes.insert_or_assign(key, Note{std::string(record.value), segment, record.bytes});
    }
  }

  void takeExtent(const Record& record, std::uint32_t segment, std::uint64_t recordsAt) {
    if (record.octets.empty()) return;
    Rebuilt& rebuilt = streams[record.stream];
    rebuilt.extents.insert_or_assign(record.start, Extent{.end = record.start + record.octets.size(),
                                                          .segment = segment,
                                                          .at = static_cast<std::uint32_t>(recordsAt + record.dataAt)});
  }

  void takeWriter(const Record& record) {
    Stream& stream = *streams[record.stream].stream;
    stream.tail = std::max(stream.tail, record.start + record.octets.size());
    if (record.seq) stream.lastSeq = record.seq;
    if (record.producer) {
      if (!stream.producers) stream.producers = std::make_unique<Producers>();
      stream.producers->insert_or_assign(
          record.producer->id, ProducerState{.epoch = record.producer->epoch, .lastSeq = record.producer->seq});
    }
    if (record.close) {
      stream.closed = true;
      if (record.producer) stream.closedBy = record.producer;
    }
  }

  [[noreturn]] void incomplete(const std::string& stream, const std::string& what) const {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                fmt::format("{}: stream {} lacks {}; a segment is missing: restore the folder from a backup",
                            journal_.files().pathOf(""), stream, what));
  }

  Journal& journal_;
};

/// One segment while it is read.
struct Reading {
  std::uint32_t number = 0;
  bool last = false;
  std::string path{};
};

/// @return false where the file is the torn beginning of a segment that was never used.
bool openSegment(Journal& journal, const Reading& reading, RecoveryReport& report) {
  auto file = journal.files().open(segmentName(reading.number), false);
  const auto head = readSegmentHeader(readUpTo(*file, 0, kSegmentHeader));
  if (!head) {
    // Batches are written only once the header is synced.
    if (!reading.last || file->size() > kSegmentHeader) corruptSegment(reading.path, 0, "no segment header");
    report.truncatedFile = reading.path;
    report.truncatedOctets += file->size();
    file.reset();
    journal.files().remove(segmentName(reading.number));
    journal.files().syncFolder();
    return false;
  }
  if (head->version != 1) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("{} has format {}; this Tidegate reads 1", reading.path, head->version));
  }
  if (head->number != reading.number) corruptSegment(reading.path, 8, "the header of another segment");
  auto segment = std::make_shared<Segment>();
  segment->number = reading.number;
  segment->seed = head->seed;
  segment->file = std::move(file);
  journal.segments()[reading.number] = std::move(segment);
  return true;
}

}  // namespace

std::uint64_t forEachBatch(const File& file, std::uint64_t seed,
                           const std::function<void(std::string_view, std::uint64_t, std::uint64_t)>& visit) {
  const std::uint64_t size = file.size();
  std::uint64_t at = kSegmentHeader;
  while (at < size) {
    const auto batch = batchAt(file, at, size, seed);
    if (!batch) break;
    visit(batch->second, at + kBatchHeader, batch->first.commit);
    at += kBatchHeader + batch->first.size;
  }
  return at;
}

RecoveryReport recover(Journal& journal, StoreCore& core) {
  RecoveryReport report;
  std::vector<std::uint32_t> numbers;
  for (const std::string& name : journal.files().list()) {
    if (const auto number = segmentNumber(name)) numbers.push_back(*number);
  }
  std::sort(numbers.begin(), numbers.end());
  Rebuilding rebuilding(journal);
  std::uint64_t commit = 0;
  std::uint64_t end = 0;
  for (const std::uint32_t number : numbers) {
    const Reading reading{number, number == numbers.back(), journal.files().pathOf(segmentName(number))};
    if (!openSegment(journal, reading, report)) continue;
    Segment& segment = *journal.segments().at(number);
    const auto take = [&](std::string_view records, std::uint64_t at, std::uint64_t batchCommit) {
      if (batchCommit <= commit) corruptSegment(reading.path, at, "a commit out of order");
      commit = batchCommit;
      ++report.commits;
      RecordReader reader(records);
      try {
        while (const auto record = reader.next()) rebuilding.take(*record, number, at);
      } catch (const Error& e) {
        corruptSegment(reading.path, at + reader.at(), e.message());
      }
    };
    const std::uint64_t size = segment.file->size();
    end = forEachBatch(*segment.file, segment.seed, take);
    segment.total = end - kSegmentHeader;
    report.octets += end;
    if (end == size) continue;
    if (!reading.last || laterBatchBehind(*segment.file, end, size, segment.seed, commit + 1)) {
      corruptSegment(reading.path, end, "a commit that was synced is damaged");
    }
    report.truncatedFile = reading.path;
    report.truncatedOctets += size - end;
    segment.file->truncate(end);
    segment.file->sync();
  }
  rebuilding.finish(core);
  report.segments = journal.segments().size();
  report.streams = rebuilding.streams.size();
  const std::uint32_t last = journal.segments().empty() ? 0 : journal.segments().rbegin()->first;
  core.committedUpTo(commit);
  journal.resume(commit, last, journal.segments().empty() ? 0 : end);
  return report;
}

}  // namespace tidegate::durable_streams::detail
