/// Reads chunks, one at a time, on a connection of its own and without waiting.
///
/// A chunk is one transaction: lock the table against alteration, take a snapshot, see where `chunkRows` rows end, read
/// them. The lock comes first, so that the table is as the snapshot sees it.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "postgres/detail/async_link.h"
#include "postgres/detail/chunk.h"
#include "postgres/detail/copy_decoder.h"
#include "tidegate/postgres/source.h"

namespace tidegate::postgres::detail {

/// What readers share: tables' facts by full name, read again when they change.
using KnownTables = std::vector<std::shared_ptr<const KnownTable>>;

class ChunkReader {
 public:
  ChunkReader(const SourceOptions& options, KnownTables& known)
      : options_(options), link_(options.connect), known_(known) {}

  /// Whether it takes a chunk.
  bool idle() const { return chunk_ == nullptr; }
  /// Reads it. The chunk must stay where it is until it is read or dropped.
  void start(Chunk& chunk);
  /// Lets go of the chunk in hand, which goes back to `wanted`.
  void drop() noexcept;
  const Chunk* chunk() const { return chunk_; }
  /// Goes on without waiting. @throws Error; the reader then has no chunk and no connection.
  void step();

 private:
  enum class Stage { connect, lock, bound, copy };
  void advance();
  void lock();
  void locked();
  void bounded();
  void copy();
  void takeRows();
  std::shared_ptr<const KnownTable> learn(const std::string& fingerprint);

  const SourceOptions& options_;
  AsyncLink link_;
  KnownTables& known_;
  Chunk* chunk_ = nullptr;
  Stage stage_ = Stage::connect;
  std::optional<CopyDecoder> decoder_;
  std::vector<Value> spare_;
};

}  // namespace tidegate::postgres::detail
