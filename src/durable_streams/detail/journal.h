/// The log of a file store: changes are put into a batch under the store's lock, and batches are written one after the
/// other (docs/formats.md, "Stream segments").
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "durable_streams/detail/record.h"
#include "durable_streams/detail/stream.h"
#include "tidegate/durable_streams/file_system.h"

namespace tidegate::durable_streams::detail {

/// A segment's file; kept open as long as anyone reads from it.
struct Segment {
  std::uint32_t number = 0;
  std::uint64_t seed = 0;
  std::shared_ptr<File> file{};
  std::uint64_t total = 0;  ///< octets of its batches
  std::uint64_t live = 0;   ///< octets of records that are still needed
  std::uint64_t tombs = 0;  ///< octets of records that say what is gone: needed while there are older segments
};

/// A note, and where its last record is.
struct Note {
  std::string value{};
  std::uint32_t segment = 0;
  std::uint32_t bytes = 0;
};

/// A batch as it is to be written.
struct Batch {
  std::uint64_t commit = 0;
  std::shared_ptr<Segment> segment{};
  std::uint64_t at = 0;  ///< 0: the segment is yet to be made
  std::string octets{};  ///< room for the header, then records
};

/// @thread `write` by one committer at a time, all else under the store's lock.
class Journal {
 public:
  Journal(FileSystem& files, std::uint64_t segmentBytes);

  /// The commit that takes what is put now.
  std::uint64_t commit() const noexcept { return next_.commit; }
  std::size_t pendingBytes() const noexcept { return next_.octets.size() - kBatchHeader; }

  /// @return where the octets will be, for `Extent`.
  Extent putAppend(const AppendRecord& record);
  Extent putMove(std::uint64_t stream, Position start, std::string_view octets);
  void putState(Stream& stream);
  void putRemove(std::uint64_t stream);
  void putSoftDelete(std::uint64_t stream);
  void putNote(std::string_view key, Note& note);
  void putNoteRemoval(std::string_view key);

  /// Takes the batch, and begins the next.
  Batch takeBatch();
  /// Writes and syncs it. @throws Error{storeUnavailable}.
  void write(Batch& batch);

  /// An append's octets are needed, or no longer.
  void retain(const Extent& extent, std::uint64_t octets);
  void release(const Extent& extent, std::uint64_t octets);
  /// Nothing of the stream is needed any more.
  void release(const Stream& stream);
  void release(const Note& note);
  /// All segments, the one being written included.
  std::map<std::uint32_t, std::shared_ptr<Segment>>& segments() noexcept { return segments_; }
  const std::map<std::uint32_t, std::shared_ptr<Segment>>& segments() const noexcept { return segments_; }
  std::uint32_t writingTo() const noexcept { return next_.segment->number; }
  FileSystem& files() noexcept { return files_; }
  /// After recovery: go on behind what is there.
  void resume(std::uint64_t lastCommit, std::uint32_t segment, std::uint64_t at);

 private:
  void makeSegment(Segment& segment);
  std::shared_ptr<Segment> segmentOf(std::uint32_t number);
  Extent placed(std::size_t dataAt, std::uint64_t octets);
  void count(std::uint32_t segment, std::int64_t live);

  FileSystem& files_;
  std::uint64_t segmentBytes_;
  std::map<std::uint32_t, std::shared_ptr<Segment>> segments_;
  Batch next_;
};

/// "0000000001.segment"
std::string segmentName(std::uint32_t number);

}  // namespace tidegate::durable_streams::detail
