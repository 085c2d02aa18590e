/// Ranges of a table's primary key, in SQL. Only the server compares keys: what bounds a range are values that it found
/// and printed.
#pragma once

#include <string>
#include <vector>

#include "mysql/detail/table_catalogue.h"

namespace tidegate::mysql::detail {

/// The key's columns, in its order.
std::vector<CatalogueColumn> keyColumns(const CatalogueTable& table);

/// `a`, `b`: for ORDER BY.
std::string keyList(const std::vector<CatalogueColumn>& key);
/// For SELECT: what a range is bounded by, as texts.
std::string keyTexts(const std::vector<CatalogueColumn>& key);

/// The rows beyond `after`, up to `upTo`; either may be empty. An empty condition is every row.
/// @throws Error{parseError} for texts that are not of such a key.
std::string rangeCondition(const std::vector<CatalogueColumn>& key, const std::vector<std::string>& after,
                           const std::vector<std::string>& upTo);

}  // namespace tidegate::mysql::detail
