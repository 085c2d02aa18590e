/// How a server compares the names of databases and tables (`lower_case_table_names`).
#pragma once

#include <functional>
#include <string>
#include <unordered_map>

#include "mysql/detail/table_catalogue.h"

namespace tidegate::mysql::detail {

/// The form in which two names of one table are equal. Where the server does not fold names, those that differ in case
/// only are different tables.
/// @thread One at a time.
class NameFold {
 public:
  using Ask = std::function<Cells(const std::string& sql)>;
  /// Names are as they are.
  NameFold() = default;
  /// Names are folded. @param ask for those that are not ASCII, each once.
  explicit NameFold(Ask ask) : ask_(std::move(ask)) {}

  /// @throws what the question fails with.
  std::string operator()(const std::string& name);
  TableName operator()(const TableName& name) { return {(*this)(name.database), (*this)(name.table)}; }

 private:
  Ask ask_{};
  std::unordered_map<std::string, std::string> asked_{};
};

/// Whether the server folds names. @throws Error
bool foldsNames(CLink& link);

}  // namespace tidegate::mysql::detail
