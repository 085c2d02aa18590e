/// One worker's side of the leases: renews them in time, sees who died, and knows what may be relied upon.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "kinesis/detail/lease_table.h"
#include "tidegate/core/clock.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::kinesis::detail {

/// @thread One at a time.
class LeaseKeeper {
 public:
  LeaseKeeper(LeaseOptions options, const Clock& clock, Scheduler& scheduler,
              std::function<void(const std::string&)> warn);

  /// Waits until the group has a baseline of these tables, or it falls to this worker to read one.
  /// @return where the stream goes on; nothing: read it, and go on from what the snapshot says.
  /// @throws Error{invalidConfig} where the group has some of the tables and not the others; Error{queryCancelled}
  std::optional<StreamPlace> awaitBaseline(const std::vector<std::string>& tables, const std::stop_token& stop);
  /// Begins to stream. @return where every shard stands: the group's place, and what of `from` is beyond it.
  StreamPlace join(const StreamPlace& from);
  /// The shards were listed and fitted to the place: what of it the group does not know yet is told to it, and what was
  /// read to its end and is listed no more is forgotten. First turn.
  void settle(const StreamPlace& listed, const StreamPlace& acked);

  /// Takes a turn where one is due. Where the store cannot be reached, what is held still holds for a while.
  /// Before `join` it only keeps the right to read the baseline.
  /// @return whether the table was seen anew. @throws Error{positionLost} where another worker found the place lost;
  ///         Error{fenced} where another one reads the baseline by now; Error{storeCorrupt}
  bool tend(const StreamPlace& acked);
  /// Whether a shard is this worker's, as far as the table was last seen.
  bool owns(const std::string& shard) const;
  /// Whether nobody else can have taken it yet.
  bool holds() const;
  /// Shards to be read.
  std::vector<std::string> toRead() const;
  /// Shards that should be given up.
  std::vector<std::string> surplus() const;
  /// A shard is read no more; it is given back once `acked` has reached where it was left.
  void giveBack(const std::string& shard, const ShardPlace& leftAt);
  const StreamPlace& place() const { return table_.place; }
  /// Another one for each state of the table.
  std::uint64_t version() const { return table_.version; }

  /// The stream lost something: the group begins anew with a baseline.
  void lost();
  /// What was acknowledged is noted, and all that was held is free.
  void leave(const StreamPlace& acked);

 private:
  struct Seen {
    std::uint64_t beats;
    Clock::Micros since;
  };
  struct Leaving {
    ShardPlace at;
    Clock::Micros since;
  };
  /// Changes the table. `change` says whether it is to be written; it may be asked several times.
  void update(const std::function<bool(LeaseTable&)>& change);
  void look(const LeaseTable& table);
  std::set<std::string> dead() const;
  void turn(LeaseTable& table, const StreamPlace& acked);
  void renew(const StreamPlace& acked);
  void renewBaseline();

  const LeaseOptions options_;
  const Clock& clock_;
  Scheduler& scheduler_;
  const std::function<void(const std::string&)> warn_;
  LeaseTable table_;
  std::map<std::string, Seen> seen_;
  std::map<std::string, Leaving> leaving_;
  std::optional<std::uint64_t> epoch_;  ///< while this worker streams
  Clock::Micros renewed_{0};
  Clock::Micros due_{0};
  bool held_ = false;  ///< `renewed_` counts
  bool failing_ = false;
};

}  // namespace tidegate::kinesis::detail
