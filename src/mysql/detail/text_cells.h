/// Cells as a query's result has them: text, in a session of UTC and utf8mb4. The same Values as the binlog's cells.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "mysql/detail/table_catalogue.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql::detail {

enum class TextForm : std::uint8_t {
  signedInteger,
  unsignedInteger,
  bits,  ///< octets, most significant first
  real,
  decimal,
  text,
  bytes,
  date,
  dateTime,
  timestamp,
  time,
  json,
  geometry
};

std::vector<TextForm> textForms(const std::vector<CatalogueColumn>& columns);
/// @throws Error{parseError} for text that is not of its form.
void readTextCell(TextForm form, std::string_view text, Value& out);
/// A row as libmariadb has it. @throws Error{parseError}
void readTextRow(const std::vector<TextForm>& forms, MYSQL_ROW cells, const unsigned long* lengths,
                 std::vector<Value>& values);

}  // namespace tidegate::mysql::detail
