/// The sink's journal: where a unit of work is committed, before its messages go to their streams (decision 16).
///
/// A pipeline has a *head*, a stream that names its owner's epoch and its current *segment*. The segment holds the
/// units: parts (messages for one stream, with the producer's sequence that they will be appended by), then one commit
/// record. The commit is the one append that decides. Parts are appended to their streams afterwards, by the epoch and
/// sequence written in the journal; so whoever repeats that, the old owner or a new one, appends nothing twice.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "durable_streams/detail/stream_log.h"

namespace tidegate::durable_streams::detail {

/// Messages for one stream, appended in one request.
struct JournalPart {
  std::string stream{};
  std::uint64_t seq = 0;
  std::vector<std::string> messages{};
  std::size_t bytes = 0;
};

/// (table, stream): what this pipeline has ever written to.
using KnownStreams = std::set<std::pair<std::string, std::string>>;

struct JournalOptions {
  std::string prefix{};                  ///< in front of the head's and the segments' paths
  std::size_t segmentBytes = 16u << 20;  ///< past it a commit begins a new segment
  std::size_t keptBytes = 16u << 20;     ///< parts of one unit kept in memory; past it they are read back
};

/// @thread One at a time.
class SinkJournal {
 public:
  SinkJournal(StreamLog& log, JournalOptions options, std::string pipeline);

  /// Takes the pipeline over, ends what its last owner had committed and not told, and gives back its checkpoint.
  /// @throws Error{fenced} where another one took it over meanwhile.
  std::optional<std::string> open(std::stop_token stop);

  /// Writes a part of the unit under way. @throws Error{fenced}.
  void spill(const std::string& stream, std::vector<std::string> messages);
  /// Commits the unit: `last` are its remaining messages, `added` what it wrote to for the first time. Then appends all
  /// of it to its streams.
  void commit(std::string_view checkpoint, std::vector<std::pair<std::string, std::vector<std::string>>> last,
              const KnownStreams& added);
  /// What the unit under way has spilled for a stream.
  void unitMessages(const std::string& stream, const std::function<void(std::string_view message)>& onMessage);
  /// Gives up the unit under way.
  void abandon() noexcept;

  const KnownStreams& known() const noexcept { return known_; }
  /// The pipeline's mark in everything that it writes: another one after its head was deleted.
  const std::string& incarnation() const noexcept { return incarnation_; }
  std::uint64_t epoch() const noexcept { return epoch_; }
  /// Units begun by this owner: with the epoch, a name for each.
  std::uint64_t unit() const noexcept { return unit_; }
  const std::string& headPath() const noexcept { return head_; }

 private:
  struct HeadState;
  struct Unit;
  HeadState readHead(const std::string& from);
  std::string readSegment(const std::string& from, const std::function<void(std::string_view)>& onRecord);
  void refuseIfTakenOver();
  std::string claimHead();
  void claimSegment(const std::string& name);
  void beginSegment(std::string after);
  void replay();
  void takeRecord(std::string_view record, Unit& open, std::optional<Unit>& last);
  std::string segmentPath(const std::string& name) const;
  std::string snapshotRecord() const;
  std::string partRecord(const JournalPart& part) const;
  std::string commitRecord(std::string_view checkpoint, const KnownStreams& added) const;
  void appendRecords(const std::string& path, std::uint64_t& seq, std::vector<std::string> records);
  JournalPart partOf(const std::string& stream, std::vector<std::string> messages);
  void keep(JournalPart part);
  void distribute();
  void eachPart(const std::function<void(const JournalPart& part)>& onPart);
  void send(const JournalPart& part, std::uint64_t epoch);
  void rotate();
  [[noreturn]] void refuseFenced() const;
  [[noreturn]] void refuseStream(const std::string& stream, LogVerdict verdict) const;

  StreamLog& log_;
  JournalOptions options_;
  std::string pipeline_;
  std::string head_;
  std::stop_token stop_;

  std::string incarnation_{};
  std::uint64_t epoch_ = 0;
  std::uint64_t headSeq_ = 0;     ///< next, of this epoch
  std::uint64_t segmentSeq_ = 0;  ///< likewise
  std::string segment_{};
  std::size_t segmentBytes_ = 0;
  std::string segmentEnd_{};  ///< its offset after the last append
  std::optional<std::string> checkpoint_{};
  KnownStreams known_{};
  std::map<std::string, std::uint64_t> sequences_{};  ///< next, for each stream of this epoch

  std::uint64_t unit_ = 0;
  std::map<std::string, std::uint64_t> reserved_{};  ///< `sequences_` as the unit under way will leave them
  std::string unitFrom_{};                           ///< offset before the unit's first spilled part
  bool spilled_ = false;
  bool forgotten_ = false;  ///< parts are no longer all in `kept_`
  std::vector<JournalPart> kept_{};
  std::size_t keptBytes_ = 0;
};

/// A name as one segment of a path. @throws Error{invalidConfig} for "." and "..".
std::string pathSegment(std::string_view name);

}  // namespace tidegate::durable_streams::detail
