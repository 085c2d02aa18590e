/// JSON objects as rows: a line of a baseline, or the row and the identity of a record.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/json_scanner.h"
#include "tidegate/core/value.h"
#include "tidegate/source/change_event.h"

namespace tidegate::kinesis::detail {

/// One change as a record says it.
struct RecordFields {
  std::string table{};
  std::string action{};
  std::string_view row{};       ///< the object's JSON, in the record; empty: none
  std::string_view identity{};  ///< likewise
};

/// @throws Error{parseError}
RecordFields readRecordFields(std::string_view json);

/// @thread One at a time.
class RowDecoder {
 public:
  /// Reads an object into the values of a shape; members that are no columns are left out. Texts of `values` reuse
  /// their memory.
  /// @param missing columns that the object does not have (their values are null), ascending.
  /// @throws Error{parseError} naming the column, never its value.
  void decode(std::string_view json, const TableShape& shape, std::vector<Value>& values,
              std::vector<std::uint32_t>& missing);

 private:
  /// The keys of a shape as they are written, made once.
  void learn(const TableShape& shape);
  void assign(const ScannedValue& value, const TableShape& shape, std::size_t column, Value& out);
  /// What most values are: short integers and plain texts. @return false: nothing was read.
  bool assignPlain(JsonScanner& scanner, const TableShape& shape, std::size_t column, Value& out);
  /// "2026-01-31T12:00:00[.123456][Z]" on a day that was met before. @return false: it is read another way.
  bool assignTimeOfDay(std::string_view text, Value& out) const;
  void learnDay(std::string_view text);

  Columns learned_;
  std::vector<std::string> keys_;  ///< of learned_: `"name":`
  std::vector<char> seen_;
  std::string unescaped_;
  std::string day_;  ///< the date of the last timestamp, and
  std::int64_t dayMicros_ = 0;
};

/// A JSON string's text, or a number's, as a value of a kind; nullopt where it is none.
std::optional<Value> valueOfText(std::string_view text, ValueKind kind);
std::optional<Value> valueOfNumber(std::string_view token, ValueKind kind);

}  // namespace tidegate::kinesis::detail
