/// Reads pending tables chunk by chunk beside the stream, and hands their rows out so that no row ever goes back.
///
/// A chunk is read at a snapshot S. It is held until the stream has told every transaction that committed before the
/// place H which the log had reached after S was taken: then each transaction that S sees has been told, and what the
/// stream has told beyond that is exactly what has been noted of transactions that S does not see. Rows that those have
/// touched are left out (or, where the stream left their large columns out, completed); the others are as they are now.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "postgres/detail/baseline_progress.h"
#include "postgres/detail/chunk.h"
#include "postgres/detail/chunk_reader.h"
#include "postgres/detail/stream_interleave.h"
#include "postgres/detail/visibility_gate.h"
#include "source/detail/touch_log.h"
#include "tidegate/source/backoff.h"

namespace tidegate::postgres::detail {

/// @thread The stream's.
class ChunkedBaseline final : public StreamInterleave {
 public:
  ChunkedBaseline(const SourceOptions& options, std::function<void(const std::string&)> onWarning);

  void restart(std::string_view progress) override;
  bool pending() const noexcept override { return !progress_.pending.empty(); }
  const std::string& progress() const noexcept override { return encoded_; }
  void onChange(const ChangeEvent& event) override;
  void onCommit(const StreamedCommit& transaction) override;
  void onMessage(std::string_view, Lsn) override {}
  bool deliverRows(Lsn received, ChangeBatch& out) override;
  void tend() override;

 private:
  /// What is known of a pending table beside its progress.
  struct Stream {
    std::string table{};
    Shape shape{};                ///< of the stream's last event of it, or of ours; null: none yet
    std::uint64_t shapeTime = 0;  ///< of `shapes_` when it came
    std::uint64_t begunAt = 0;    ///< the last touching transaction told before its `baselineBegin`
  };

  Stream& streamOf(const std::string& table);
  void seen(const ChangeEvent& event, Stream& stream);
  void startAgain(const std::string& table);
  void stepConnections();
  void stepReader(ChunkReader& reader);
  void failed(const Error& error);
  void assign();
  void boundAnew(std::size_t at);
  bool addChunk();
  void forgetSeenTouches();
  void deliverHead(Lsn received, ChangeBatch& out);
  bool shapeAgrees(Chunk& chunk, ChangeBatch& out);
  void begin(const Chunk& chunk, ChangeBatch& out);
  void deliverRowsOf(Chunk& chunk, ChangeBatch& out);
  void finishChunk(const Chunk& chunk, ChangeBatch& out);
  ChangeEvent& add(ChangeOp op, const Shape& shape, ChangeBatch& out);
  void become(BaselineProgress next);

  const SourceOptions& options_;
  std::function<void(const std::string&)> onWarning_;
  BaselineProgress progress_;
  std::string encoded_;
  std::deque<Stream> streams_;
  std::uint64_t shapes_ = 0;  ///< counts the shapes that the stream brought
  tidegate::detail::TouchLog touches_;
  KnownTables known_;
  VisibilityGate gate_;
  std::deque<std::unique_ptr<ChunkReader>> readers_;
  std::deque<std::unique_ptr<Chunk>> chunks_;  ///< in the order they are delivered
  Snapshot newest_{};                          ///< read so far; any that is taken from now on sees more
  std::size_t appendedFrom_ = 0;               ///< of the batch in hand: events before it are not ours any more
  Backoff backoff_;
  std::chrono::steady_clock::time_point retryAt_{};
  std::chrono::steady_clock::time_point knockAt_{};
  std::string lastWarning_;
};

}  // namespace tidegate::postgres::detail
