/// MySQL's global transaction ids: sets of them, as text and as the protocol has them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/gtid.h"

namespace tidegate::mysql::detail {

/// Which transactions of which servers. Unlike MariaDB's there may be gaps.
class GtidSet {
 public:
  /// Numbers from `first` to `last`, both of them; from 1.
  struct Interval {
    std::uint64_t first = 0, last = 0;
    bool operator==(const Interval&) const = default;
  };
  struct Source {
    GtidSource name{};
    std::vector<Interval> intervals{};  ///< ascending, none touches the next
    bool operator==(const Source&) const = default;
  };

  const std::vector<Source>& sources() const noexcept { return sources_; }
  bool empty() const noexcept { return sources_.empty(); }
  bool contains(const GtidSource& source, std::uint64_t number) const noexcept;
  /// Intervals may touch or overlap those that are there. `first` is 1 at least and at most `last`.
  void add(const GtidSource& source, const Interval& interval);
  bool operator==(const GtidSet&) const = default;
  /// Whether any of it has a tag.
  bool tagged() const noexcept;

  /// Whether everything in it is in `other` too.
  bool within(const GtidSet& other) const noexcept;
  /// What is in both.
  GtidSet meet(const GtidSet& other) const;

 private:
  const Source* find(const GtidSource& source) const noexcept;
  std::vector<Source> sources_;  ///< ascending by name, none without an interval
};

/// "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:8:orders:1-3,…"; empty: nothing.
std::string gtidSetToText(const GtidSet& set);
/// @throws Error{parseError}
GtidSet gtidSetFromText(std::string_view text);
/// As COM_BINLOG_DUMP_GTID and PREVIOUS_GTIDS events have it. Servers before 8.3 do not read one with tags.
std::string gtidSetToOctets(const GtidSet& set);
/// @throws Error{parseError}
GtidSet gtidSetFromOctets(std::string_view octets);

}  // namespace tidegate::mysql::detail
