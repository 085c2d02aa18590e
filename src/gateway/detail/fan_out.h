/// Who of those that follow the log may want to see a change: an index on the equality filters of their views, so that
/// a change costs by the subscribers that it may concern, not by all of them.
///
/// Each subscriber has mail: the stamps of entries that its view may see, and up to where it need not look for itself.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/detail/log_record.h"
#include "gateway/detail/rule_keys.h"
#include "gateway/detail/view_cache.h"

namespace tidegate::detail {

class CommitListener;

/// What a subscriber has to read. Of what lies up to `coveredTo`, either nothing else is for its view, or it must
/// `scan` from where it stands.
struct Mail {
  bool scan = true;
  std::vector<std::uint64_t> stamps{};  ///< ascending; unless it scans
  std::uint64_t from = 0;               ///< a scan may begin here, if that is further on
  std::uint64_t coveredTo = 0;
};

/// @thread Any, under its owner's lock: the members do not lock.
class FanOut {
 public:
  /// Stamps kept for one subscriber; with more it scans.
  static constexpr std::size_t kMostStamps = 4'096;
  /// Terms of one view; with more it is told of everything.
  static constexpr std::size_t kMostTerms = 10'000;

  bool empty() const noexcept { return boxes_.empty(); }
  std::uint64_t routedTo() const noexcept { return routedTo_; }
  std::uint64_t epoch() const noexcept { return epoch_; }
  std::uint64_t floor() const noexcept { return floor_; }

  /// A subscriber, which scans until it has asked once.
  void add(std::shared_ptr<CommitListener> who);
  void remove(const CommitListener* who) noexcept;
  /// Files the subscriber's view, so that it is told of what may concern it alone.
  void file(const CommitListener* who, const CompiledView& view);
  bool filed(const CommitListener* who, std::uint64_t generation) const;

  /// Rules, or what can be read at all, have changed: everyone looks for itself.
  void begin(std::uint64_t epoch, std::uint64_t floor);
  /// One log entry. @pre its stamp is above `routedTo`, and `table` is its table's name.
  void route(const RecordView& record, std::string_view table);
  void routed(std::uint64_t to) noexcept { routedTo_ = to; }

  Mail take(const CommitListener* who);
  /// What was not read of it.
  void giveBack(const CommitListener* who, std::vector<std::uint64_t> stamps, bool scan);
  /// Those that have mail and were not told since.
  std::vector<std::shared_ptr<CommitListener>> toTell();

 private:
  struct Box {
    std::shared_ptr<CommitListener> who;
    Mail mail;
    ViewTerms terms;
    std::uint64_t generation = 0;
    bool filed = false;
    bool queued = false;
    std::uint64_t seen = 0;  ///< the last entry that was put in, so that several terms put it in once
  };
  /// The subscribers of one of the rules' tables.
  struct Table {
    std::vector<Box*> whole;
    std::vector<std::unordered_map<std::string, std::vector<Box*>>> columns;
  };

  void unfile(Box& box) noexcept;
  void put(Box& box, std::uint64_t stamp);
  void queue(Box& box);
  void routeCell(const Table& table, std::size_t position, const std::optional<std::string_view>& cell,
                 std::uint64_t stamp);

  std::unordered_map<const CommitListener*, std::unique_ptr<Box>> boxes_;
  std::vector<Box*> always_;  ///< everything, or not filed yet
  std::unordered_map<std::size_t, Table> tables_;
  std::optional<ClientView> rules_;  ///< any view of the rules: names their tables
  std::vector<const CommitListener*> told_;
  std::uint64_t routedTo_ = 0, epoch_ = 0, floor_ = 0;
  Value scratch_;
  std::vector<std::string> keys_;
};

}  // namespace tidegate::detail
