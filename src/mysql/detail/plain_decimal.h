/// How the servers print a DECIMAL, and how a change of it reads.
#pragma once

#include <string_view>

namespace tidegate::mysql::detail {

/// The digits that count: a column that is ZEROFILL prints more before them.
inline std::string_view plainDecimal(std::string_view text) {
  while (text.size() > 1 && text[0] == '0' && text[1] >= '0' && text[1] <= '9') text.remove_prefix(1);
  return text;
}

}  // namespace tidegate::mysql::detail
