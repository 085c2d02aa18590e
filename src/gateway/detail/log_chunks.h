/// The append-only log: records in chunks of fixed capacity, so that a record never moves.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

namespace tidegate::detail {

/// Octets of one stretch of the log. Readers hold it by shared ownership, so trimming never pulls it from under them.
struct LogChunk {
  explicit LogChunk(std::size_t capacity_)
      : octets(std::make_unique_for_overwrite<char[]>(capacity_)), capacity(capacity_) {}
  const std::unique_ptr<char[]> octets;
  const std::size_t capacity;
  std::size_t size = 0;                ///< staged records included
  std::uint64_t firstOrdinal = 0;      ///< of its first record
  std::vector<std::uint32_t> offsets;  ///< one per record, staged ones included
};

/// A stretch of published records that may be read without any lock.
struct LogSlice {
  std::shared_ptr<const LogChunk> chunk;
  const char* begin = nullptr;
  const char* end = nullptr;
  std::uint64_t ordinal = 0;  ///< of the first record
  bool empty() const noexcept { return begin == end; }
};

/// @thread One writer at a time, or readers of `slice`: the owner's lock.
class LogChunks {
 public:
  /// Room for one record of at most `octets`, at the end of what is staged.
  char* reserve(std::size_t octets);
  /// The record written at `reserve`d room takes `octets`.
  void add(std::size_t octets) noexcept;
  /// Shows everything staged to readers.
  void publish() noexcept;
  /// Takes back everything staged.
  void undo() noexcept;

  /// Published records with a serverHlc after `since`, up to the end of one chunk and `maxOctets`.
  LogSlice slice(std::uint64_t since, std::size_t maxOctets) const;
  /// The staged records, chunk by chunk, in order.
  std::vector<std::string_view> staged() const;

  std::uint64_t entries() const noexcept { return published_ - start_; }
  /// Ordinal past the last published record.
  std::uint64_t end() const noexcept { return published_; }
  std::size_t octets() const noexcept { return publishedOctets_; }
  std::size_t stagedOctets() const noexcept { return stagedOctets_; }
  std::size_t bytes() const noexcept { return bytes_; }
  /// The oldest published record; nullptr if there is none.
  const char* front() const noexcept;
  void dropFront() noexcept;
  /// serverHlc of the oldest published record; 0 if there is none.
  std::uint64_t firstHlc() const noexcept;

 private:
  struct Place {
    std::size_t chunk = 0;
    std::size_t record = 0;
  };
  Place after(std::uint64_t since) const noexcept;
  std::uint64_t hlcAt(const LogChunk& chunk, std::size_t record) const noexcept;
  void account(const LogChunk& chunk, bool added) noexcept;

  std::deque<std::shared_ptr<LogChunk>> chunks_;
  std::uint64_t start_ = 0;      ///< ordinal of the oldest record
  std::uint64_t published_ = 0;  ///< ordinal past the last record readers may see
  std::uint64_t end_ = 0;        ///< ordinal past the last staged record
  std::size_t publishedOctets_ = 0;
  std::size_t stagedOctets_ = 0;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate::detail
