/// Cells of row events: from the servers' row format to Values (docs/types.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/charset.h"
#include "mysql/detail/octet_cursor.h"
#include "mysql/detail/table_map.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

/// What a string on the wire is meant to be, which the wire does not say.
enum class CellMeaning : std::uint8_t { text, bytes, uuid, inet4, inet6 };

/// How one column's cells are read.
struct CellPlan {
  WireType type = WireType::null;
  std::uint32_t meta = 0;
  bool isUnsigned = false;
  CellMeaning meaning = CellMeaning::bytes;
  std::uint32_t padTo = 0;                   ///< BINARY(n): the server leaves out zeros at the end
  std::shared_ptr<const Charset> charset{};  ///< of text
  std::vector<std::string> labels{};         ///< of enumerations and sets, in UTF-8
};

/// Reads the cell that `in` stands at. @throws Error{parseError}
void readCell(OctetCursor& in, const CellPlan& plan, Value& out);

/// "-12.50" from the octets of a DECIMAL(precision, scale). @throws Error{parseError}
void readDecimal(OctetCursor& in, unsigned precision, unsigned scale, std::string& out);

}  // namespace tidegate::mysql::detail
