/// The notes of ingest senders (ingest_notes.h): what is durable, and what the commit under way will make so.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/gateway/ingest_notes.h"
#include "tidegate/gateway/store.h"

namespace tidegate::detail {

/// Each note is a segment of its own, so that one that changes with every commit does not carry the others along.
/// @thread The owner's lock.
class IngestBook {
 public:
  /// Meta segments from this id on are notes.
  static constexpr std::uint64_t kFirstSegment = 16;

  IngestState state(std::string_view sender) const;
  /// Whether the sender's last taker is `epoch`, what is staged included.
  bool holds(std::string_view sender, std::uint64_t epoch) const;
  std::size_t bytes() const noexcept { return bytes_; }

  /// Takes the sender over. @return the new epoch.
  std::uint64_t stageEpoch(std::string_view sender);
  void stage(std::string_view sender, const std::vector<IngestNote>& notes);
  bool staged() const noexcept { return !staged_.empty(); }
  /// Adds what a store must write for what is staged. The octets live until `publish` or `undo`.
  void addSegments(std::vector<Segment>& puts, std::vector<SegmentRef>& drops);
  void publish();
  void undo() noexcept { staged_.clear(); }

  /// Writes what is staged, or everything held, for other gateways; and stages what another one wrote.
  /// @throws Error{storeCorrupt}
  void writeStaged(std::string& out) const;
  void writeAll(std::string& out) const;
  void adopt(std::string_view octets);

  /// Takes a segment of a store back. @throws Error{storeCorrupt}
  void load(SegmentRef ref, std::string_view payload);

 private:
  struct Held {
    std::string octets{};
    std::uint64_t segment = 0;  ///< 0: in no store
  };
  struct Sender {
    std::uint64_t epoch = 0;
    std::uint64_t epochSegment = 0;
    std::map<std::string, Held, std::less<>> notes{};
  };
  struct Staged {
    std::string sender{};
    IngestNote note{};        ///< an empty key: the epoch
    std::uint64_t epoch = 0;  ///< where it is the epoch
    std::uint64_t segment = 0;
    std::string written{};
  };
  std::uint64_t segmentOf(const Staged& staged) const;
  void put(Staged& staged);

  std::map<std::string, Sender, std::less<>> senders_;
  std::vector<Staged> staged_;
  std::uint64_t nextSegment_ = kFirstSegment;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate::detail
