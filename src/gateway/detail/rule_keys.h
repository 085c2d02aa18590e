/// Where an equality filter and a value meet: keys such that whatever a filter holds for has one of the filter's keys.
/// The other way round need not be so; who finds a key judges.
#pragma once

#include <string>
#include <vector>

#include "tidegate/gateway/sync_rules.h"

namespace tidegate::detail {

/// Appends the keys of a row's value; none for null, for which no filter holds.
void appendValueKeys(const Value& value, std::vector<std::string>& out);

/// "the number that this text is" as a key; shared by literals and decimals.
std::string numberKey(const std::string& decimal);
std::string realKey(double real);

/// One place in an index: rows of the rules' table `table` whose rule column at `position` has the key.
struct ViewTerm {
  std::size_t table = 0;
  std::size_t position = 0;
  std::string key;
};

/// By what rows a view can be found. A row that it takes has one of the terms, or its table is in `whole`.
struct ViewTerms {
  bool everything = false;         ///< not worth indexing, or sees everything
  std::vector<std::size_t> whole;  ///< tables of which any row may match
  std::vector<ViewTerm> terms;
};

ViewTerms termsOf(const ClientView& view);
/// Where a table's rules stand, as terms name it.
std::size_t ruleTableOf(const ClientView& view, std::string_view table);

}  // namespace tidegate::detail
