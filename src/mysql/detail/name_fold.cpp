#include "mysql/detail/name_fold.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::mysql::detail {
namespace {

/// Forgotten beyond these: a server has few names that are not ASCII, and a log of years may have many.
constexpr std::size_t kMaxAsked = 10'000;

}  // namespace

std::string NameFold::operator()(const std::string& name) {
  if (!ask_) return name;
  const bool ascii = std::all_of(name.begin(), name.end(), [](char c) { return static_cast<signed char>(c) >= 0; });
  if (ascii) {
    std::string lower = name;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return lower;
  }
  const auto known = asked_.find(name);
  if (known != asked_.end()) return known->second;
  // By the collation of the servers' own names.
  const Cells cells =
      ask_(fmt::format("SELECT LOWER(CONVERT({} USING utf8mb3) COLLATE utf8mb3_general_ci)", literal(name)));
  if (asked_.size() >= kMaxAsked) asked_.clear();
  return asked_[name] = cells.empty() ? name : cells[0].at(0).value_or(name);
}

bool foldsNames(CLink& link) { return link.askText("SELECT @@lower_case_table_names") != "0"; }

}  // namespace tidegate::mysql::detail
