/// Rewrites what is still needed of a segment, so that its file can go.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <unordered_set>

#include "durable_streams/detail/journal.h"
#include "durable_streams/detail/store_core.h"

namespace tidegate::durable_streams::detail {

/// One run over one sealed segment. Takes the store's lock batch by batch.
/// @thread One.
class Compactor {
 public:
  /// @param commit makes durable what is pending.
  Compactor(StoreCore& core, Journal& journal, std::function<void()> commit)
      : core_(core), journal_(journal), commit_(std::move(commit)) {}

  /// Under the lock: the sealed segment with the least in use, if it is less than `below`.
  static std::shared_ptr<Segment> victim(const Journal& journal, double below);
  /// After it nothing needs the segment; its file may be removed.
  void run(const std::shared_ptr<Segment>& segment);

 private:
  struct Move {
    std::uint64_t stream;
    Position start;
    Extent from;
    Extent to;
  };
  void takeBatch(const Segment& segment, std::string_view records, std::uint64_t recordsAt);
  void takeRecord(const Segment& segment, const Record& record, std::uint64_t recordsAt);
  void takeNote(const Record& record);
  Extent* extentAt(std::uint64_t stream, Position start);
  void applyMoves();

  StoreCore& core_;
  Journal& journal_;
  std::function<void()> commit_;
  bool oldest_ = false;
  std::vector<Move> moves_;
  std::unordered_set<std::uint64_t> touched_;
  std::set<std::string, std::less<>> notes_;
};

}  // namespace tidegate::durable_streams::detail
