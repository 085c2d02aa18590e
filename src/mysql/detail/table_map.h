/// TABLE_MAP events: what the columns of the rows that follow are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/binlog_event.h"

namespace tidegate::mysql::detail {

/// How a column's octets stand in a row: the servers' own numbers for types.
enum class WireType : std::uint8_t {
  decimalOld = 0,
  tiny = 1,
  shortInteger = 2,
  longInteger = 3,
  floating = 4,
  doubling = 5,
  null = 6,
  timestamp = 7,
  longLong = 8,
  int24 = 9,
  date = 10,
  time = 11,
  dateTime = 12,
  year = 13,
  newDate = 14,
  varchar = 15,
  bit = 16,
  timestamp2 = 17,
  dateTime2 = 18,
  time2 = 19,
  blobCompressed = 140,
  varcharCompressed = 141,
  vector = 242,
  json = 245,
  decimal = 246,
  enumeration = 247,
  set = 248,
  tinyBlob = 249,
  mediumBlob = 250,
  longBlob = 251,
  blob = 252,
  varString = 253,
  string = 254,
  geometry = 255
};

/// One column as the binlog describes it.
struct WireColumn {
  WireType type = WireType::null;
  /// Strings: the most octets. Decimal: precision * 256 + scale. Bit: octets * 8, of which the last is not full. Times:
  /// digits of the fraction. Blobs: octets of the length. Enumerations and sets: octets of the value. Floats: octets.
  std::uint32_t meta = 0;
  bool nullable = true;
  // With binlog_row_metadata=MINIMAL or FULL
  bool isUnsigned = false;
  std::uint32_t collation = 0;  ///< of text, enumerations and sets; 63 is binary; 0: not said
  // With FULL
  std::string name{};
  std::vector<std::string> labels{};  ///< of enumerations and sets, in the column's own character set
  bool operator==(const WireColumn&) const = default;
};

struct TableMap {
  std::uint64_t id = 0;
  std::string database{}, table{};
  std::vector<WireColumn> columns{};
  bool saysSigns = false;            ///< `isUnsigned` is known
  bool saysNames = false;            ///< `name` is known
  std::vector<std::uint32_t> key{};  ///< indices of the primary key's columns; only with FULL
};

/// Reads only the id and the names. The views are into the event.
struct TableMapHead {
  std::uint64_t id = 0;
  std::string_view database{}, table{};
  std::string_view rest{};  ///< all that describes the columns
};
TableMapHead readTableMapHead(const BinlogEvent& event);
/// @param mariaDb whose servers count geometry among the texts, and YEAR among the numbers. @throws Error{parseError}
TableMap readTableMap(const TableMapHead& head, bool mariaDb);

bool isText(WireType type) noexcept;

}  // namespace tidegate::mysql::detail
