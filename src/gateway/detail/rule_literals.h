/// The literals of one rule filter, read once as every type they can be read as, so that judging a value is a switch
/// and a comparison: nothing is parsed or allocated but text that may be a date, and Json.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/detail/instant.h"
#include "tidegate/core/value.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

/// The distinct readings of a filter's literals as one type, sorted.
template <class T>
struct Readings {
  std::vector<T> values;
  bool complete = true;  ///< whether every literal could be read as this type
};

/// Judges single values against a filter's op and literals. Immutable once made.
class RuleLiterals {
 public:
  /// @param literals at least one, without duplicates; exactly one for the ordering ops.
  RuleLiterals(RuleOp op, const std::vector<std::string>& literals);

  /// Whether the filter holds for a value; never for null.
  bool hold(const Value& value) const;
  /// Appends keys of which every value that an equality holds for has one: see rule_keys.h.
  void appendKeys(std::vector<std::string>& out) const;

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };

  void readNumber(const std::string& literal);
  void readTime(const std::string& literal);
  void readOctets(const std::string& literal);
  void sortAll();
  bool holdText(std::string_view text) const;
  bool holdInteger(const Value& value, std::int64_t integer) const;
  bool holdNumber(const Value& value) const;
  bool holdReal(double real) const;
  bool holdJson(const Value& value) const;
  bool containsText(std::string_view text) const;
  bool containsNumber(const Value& value) const;
  template <class T, class U>
  bool holdIn(const Readings<T>& readings, const U& value) const;
  bool ordered(std::partial_ordering order) const noexcept;

  RuleOp op_;
  Readings<std::string> texts_;
  Readings<Value> numbers_;             ///< int64, uint64 or Decimal, but not NaN
  std::vector<std::int64_t> integers_;  ///< those of numbers_ that are int64
  Readings<double> reals_;
  bool nan_ = false;  ///< whether a literal is NaN
  Readings<bool> bools_;
  Readings<Instant> instants_;
  Readings<std::int64_t> times_;
  Readings<std::array<std::uint8_t, 16>> uuids_;
  Readings<std::string> bytes_;
  Readings<Value> documents_;
  std::unordered_set<std::string, TextHash, std::equal_to<>> textSet_;  ///< filled where there are many
  std::unordered_set<std::int64_t> integerSet_;                         ///< likewise
};

}  // namespace tidegate::detail
