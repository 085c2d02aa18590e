/// Reads chunks, one at a time, on a connection of its own and without waiting for rows.
///
/// A chunk is one transaction: take a snapshot, of which it is known how far it sees in the binlog, keep the table
/// from being altered, see where `chunkRows` rows end, read them. What is short is waited for: connecting, and
/// questions of the catalogue.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mysql/detail/chunk.h"
#include "mysql/detail/snapshot_place.h"
#include "mysql/detail/source_core.h"
#include "mysql/detail/text_cells.h"

namespace tidegate::mysql::detail {

/// @thread The stream's.
class ChunkReader {
 public:
  /// Whether a snapshot may be used.
  using Admit = std::function<bool(CLink& link, const SnapshotPlace& place)>;
  ChunkReader(SourceCore& core, Admit admit, std::stop_token stop)
      : core_(core), admit_(std::move(admit)), stop_(std::move(stop)), rowsWanted_(core.options.baseline.chunkRows) {}
  ~ChunkReader() { drop(); }
  ChunkReader(const ChunkReader&) = delete;
  ChunkReader& operator=(const ChunkReader&) = delete;

  /// Whether it takes a chunk.
  bool idle() const noexcept { return chunk_ == nullptr; }
  /// Reads it. The chunk must stay where it is until it is read, or the reader has dropped it. @throws Error; the
  /// reader then has no chunk and no connection. @return false if the snapshot was not admitted: try again later.
  bool start(Chunk& chunk);
  /// Lets go of the chunk in hand, and of the connection.
  void drop() noexcept;
  /// Goes on with what has arrived. @throws as `start`
  void step();
  /// What becomes readable when there is something to do; -1: nothing is waited for.
  int socket() const noexcept;
  /// Whether there is something to do that the socket no longer shows.
  bool hasMore() const noexcept;

 private:
  enum class Asked : std::uint8_t { nothing, bound, rows };
  void connect();
  bool begin();
  void askBound();
  void bounded();
  void askRows();
  void takeRows();
  void finish();
  void cut(MYSQL_ROW cells, const unsigned long* lengths);

  SourceCore& core_;
  Admit admit_;
  std::stop_token stop_;
  std::unique_ptr<CLink> link_;
  SnapshotBracket bracket_;
  std::optional<LinkGuard> guard_;
  Chunk* chunk_ = nullptr;
  Asked asked_ = Asked::nothing;
  std::vector<TextForm> forms_;
  std::size_t rowsWanted_;  ///< of the next range: fewer than allowed where rows are large
  std::size_t octets_ = 0;  ///< of the rows in hand
  bool saysKeys_ = false;   ///< the rows' keys stand behind their columns, so that the range can end at any
  MYSQL_RES* result_ = nullptr;
  std::vector<Value> spare_;
  Clock::Micros askedAt_{0};
};

}  // namespace tidegate::mysql::detail
