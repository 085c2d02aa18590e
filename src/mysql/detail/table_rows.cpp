#include "mysql/detail/table_rows.h"

#include <fmt/format.h>

#include <utility>

#include "mysql/detail/read_row.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

/// A server that sends no row for this long is gone.
constexpr std::chrono::milliseconds kRowPatience{600'000};

class TableRows final : public RowStream {
 public:
  TableRows(std::unique_ptr<CLink> link, const CatalogueTable& table, std::stop_token stop)
      : link_(std::move(link)),
        stop_(std::move(stop)),
        guard_(stop_, *link_),
        columns_(shapeOf(table)->columns),
        forms_(textForms(table.columns)) {
    const std::string sql = fmt::format("SELECT {} FROM {}", selectList(table.columns), table.name.quoted());
    MYSQL* const handle = link_->raw();
    if (mysql_real_query(handle, sql.data(), static_cast<unsigned long>(sql.size())) != 0) failed();
    result_ = mysql_use_result(handle);
    if (result_ == nullptr) failed();
  }
  ~TableRows() override {
    if (result_ == nullptr) return;
    link_->interrupt();  // else freeing the result would read all the rest
    mysql_free_result(result_);
  }
  TableRows(const TableRows&) = delete;
  TableRows& operator=(const TableRows&) = delete;

  const Columns& columns() const override { return columns_; }
  bool next(std::vector<Value>& values) override {
    if (result_ == nullptr) return false;
    const MYSQL_ROW cells = mysql_fetch_row(result_);
    if (cells == nullptr) {
      const bool broken = mysql_errno(link_->raw()) != 0;
      mysql_free_result(std::exchange(result_, nullptr));
      if (broken || stop_.stop_requested()) failed();
      return false;
    }
    readTextRow(forms_, cells, mysql_fetch_lengths(result_), values);
    return true;
  }

 private:
  [[noreturn]] void failed() {
    if (stop_.stop_requested())
      throw Error(ErrorCode::queryCancelled, Retry::later, "the reading of a table was stopped");
    link_->fail();
  }

  std::unique_ptr<CLink> link_;
  std::stop_token stop_;
  LinkGuard guard_;
  Columns columns_;
  std::vector<TextForm> forms_;
  MYSQL_RES* result_ = nullptr;
};

}  // namespace

std::unique_ptr<RowStream> readTableRows(const SourceCore& core, const TableName& name, std::stop_token stop) {
  std::unique_ptr<CLink> link = core.connect(kRowPatience, stop);
  const std::optional<CatalogueTable> table = readFollowedTable(*link, name);
  if (table) return std::make_unique<TableRows>(std::move(link), *table, std::move(stop));
  throw Error(ErrorCode::tableNotFound, Retry::afterOperator,
              fmt::format("table {} does not exist, or the account may not see it", name.full()));
}

}  // namespace tidegate::mysql::detail
