/// MySQL's partial updates of JSON columns (binlog_row_value_options = PARTIAL_JSON): what was done to a document.
#pragma once

#include <string>
#include <string_view>

namespace tidegate::mysql::detail {

/// Applies changes to a document, as `jsonFromBinary` prints it, and prints it anew.
/// @param diffs as they stand in a row's cell, without its length; none changes nothing.
/// @throws Error{parseError} also for a change that does not fit the document, which is then not the server's.
void applyJsonDiffs(std::string_view diffs, std::string& document);

}  // namespace tidegate::mysql::detail
