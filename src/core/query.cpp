#include "tidegate/core/query.h"

#include "tidegate/core/error.h"

namespace tidegate {

std::string_view toString(Dialect dialect) noexcept {
  switch (dialect) {
    case Dialect::sqlite:
      return "sqlite";
    case Dialect::postgres:
      return "postgres";
    case Dialect::mysql:
      return "mysql";
  }
  return "unknown";
}

namespace {

class RowsInMemory final : public RowStream {
 public:
  RowsInMemory(Columns columns, std::vector<std::vector<Value>> rows)
      : columns_(std::move(columns)), rows_(std::move(rows)) {}

  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override {
    if (at_ == rows_.size()) return false;
    values = std::move(rows_[at_++]);
    return true;
  }

 private:
  Columns columns_;
  std::vector<std::vector<Value>> rows_;
  std::size_t at_ = 0;
};

constexpr std::size_t kMaxIdentifierBytes = 255;

[[noreturn]] void refuseIdentifier(const std::string& what) {
  throw Error(ErrorCode::invalidArgument, Retry::never, what);
}

}  // namespace

ResultSet ResultSet::fromRows(Columns columns, std::vector<std::vector<Value>> rows) {
  if (!columns) throw Error(ErrorCode::invalidArgument, Retry::never, "fromRows needs a column list (makeColumns)");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].size() != columns->size()) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  "row " + std::to_string(i + 1) + " has " + std::to_string(rows[i].size()) + " values for " +
                      std::to_string(columns->size()) + " columns; give one value per column");
    }
  }
  return ResultSet(std::make_unique<RowsInMemory>(std::move(columns), std::move(rows)));
}

std::string quoteIdentifier(Dialect dialect, std::string_view name) {
  if (name.empty()) refuseIdentifier("a table or column name is empty; give its name");
  if (name.size() > kMaxIdentifierBytes) {
    refuseIdentifier("the name " + describe(Value(name), 40) + " has " + std::to_string(name.size()) +
                     " bytes; at most 255 are allowed");
  }
  if (name.find('\0') != std::string_view::npos || !isUtf8(name)) {
    refuseIdentifier("the name " + describe(Value(name), 40) + " holds NUL or invalid UTF-8; no database takes it");
  }
  const char quote = dialect == Dialect::mysql ? '`' : '"';
  std::string quoted(1, quote);
  for (const char c : name) {
    if (c == quote) quoted.push_back(quote);
    quoted.push_back(c);
  }
  quoted.push_back(quote);
  return quoted;
}

std::string placeholder(Dialect dialect, std::size_t oneBasedIndex) {
  if (dialect != Dialect::postgres) return "?";
  std::string text("$");
  return text.append(std::to_string(oneBasedIndex));
}

}  // namespace tidegate
