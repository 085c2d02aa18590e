/// Row events: which rows of which table, and the images of each.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/detail/binlog_event.h"
#include "mysql/detail/cell_decoder.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

enum class RowsKind : std::uint8_t { write, update, erase };

bool isRows(EventType type) noexcept;

struct RowsEvent {
  RowsKind kind = RowsKind::write;
  std::uint64_t table = 0;  ///< of the TABLE_MAP event before it
  std::size_t columns = 0;
  std::string_view present{};       ///< a bit for each column of the (first) image
  bool whole = false;               ///< that image has all columns
  std::string_view presentAfter{};  ///< of an update's second image
  bool partialJson = false;         ///< second images say what was done to JSON columns: `readPartialImage`
  std::string_view rows{};
};
/// The id alone. @throws Error{parseError}
std::uint64_t tableIdOf(const BinlogEvent& event);
/// @param inflated lends its memory to a compressed event's rows. @throws Error{parseError}
RowsEvent readRows(const BinlogEvent& event, std::string& inflated);

/// Reads one image that `in` stands at. Columns that are not in it become null and are listed in `absent`, ascending.
/// @throws Error{parseError}
void readImage(OctetCursor& in, const std::vector<CellPlan>& plans, std::string_view present,
               std::vector<Value>& values, std::vector<std::uint32_t>& absent);

/// A first image that was read.
struct ImageBefore {
  const std::vector<Value>& values;
  const std::vector<std::uint32_t>& absent;
};
/// Reads the second image of a row whose JSON columns may be updated in part.
/// @param unknown gets the columns, ascending, that were updated in part and are not in the first image: their value is
///                null, and only the table has it. @throws Error{parseError}
void readPartialImage(OctetCursor& in, const std::vector<CellPlan>& plans, std::string_view present,
                      const ImageBefore& before, std::vector<Value>& values, std::vector<std::uint32_t>& absent,
                      std::vector<std::uint32_t>& unknown);

}  // namespace tidegate::mysql::detail
