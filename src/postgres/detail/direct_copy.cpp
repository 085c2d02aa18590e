#include "postgres/detail/direct_copy.h"

#include <fmt/format.h>

namespace tidegate::postgres::detail {
namespace {

/// Signature, flags, length of the header's extension.
constexpr std::string_view kHeader{"PGCOPY\n\xFF\r\n\0\0\0\0\0\0\0\0\0", 19};
constexpr std::string_view kTrailer{"\xFF\xFF", 2};
constexpr std::size_t kSendBytes = 128u << 10;
constexpr std::size_t kPieceBytes = 8u << 20;
constexpr const char* kUniqueViolation = "23505";

}  // namespace

DirectCopy::DirectCopy(const TargetName& name, const Shape& shape, const std::vector<ColumnPlan>& plans,
                       std::string onConflict)
    : columnCount_(static_cast<std::uint16_t>(plans.size())) {
  std::string columns, keys;
  for (const ColumnPlan& plan : plans) {
    columns += (columns.empty() ? "" : ", ") + plan.quoted;
    possible_ = possible_ && plan.exact;
  }
  for (const std::uint32_t k : shape->key) keys += (keys.empty() ? "" : ", ") + plans[k].quoted;
  copySql_ = fmt::format("COPY {} ({}) FROM STDIN (FORMAT binary)", name.quoted, columns);
  stageSql_ = fmt::format(
      "CREATE TEMP TABLE tidegate_piece ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA;"
      "ALTER TABLE pg_temp.tidegate_piece ADD COLUMN \"tidegate ordinal\" bigserial",
      columns, name.quoted);
  stageCopySql_ = fmt::format("COPY pg_temp.tidegate_piece ({}) FROM STDIN (FORMAT binary)", columns);
  upsertSql_ = fmt::format(
      "INSERT INTO {} AS t ({}) SELECT {} FROM (SELECT DISTINCT ON ({}) * FROM pg_temp.tidegate_piece ORDER BY {}, "
      "\"tidegate ordinal\" DESC) AS u {}; DROP TABLE pg_temp.tidegate_piece",
      name.quoted, columns, columns, keys, keys, onConflict);
}

std::string& DirectCopy::beginRow() {
  if (rows_.empty()) rows_.append(kHeader);
  rows_.push_back(static_cast<char>(columnCount_ >> 8));
  rows_.push_back(static_cast<char>(columnCount_ & 0xFF));
  return rows_;
}

void DirectCopy::rowDone(SinkConnection& connection) {
  if (rows_.size() - sent_ >= kSendBytes) send(connection);
  if (rows_.size() >= kPieceBytes && !finish(connection)) allNew_ = false;
}

bool DirectCopy::finish(SinkConnection& connection) {
  if (!rows_.empty()) {
    rows_.append(kTrailer);
    send(connection);
    try {
      connection.copyEnd();
      connection.run("RELEASE SAVEPOINT tidegate_piece");
    } catch (const SqlError& e) {
      if (e.state() != kUniqueViolation) throw;
      connection.run("ROLLBACK TO SAVEPOINT tidegate_piece; RELEASE SAVEPOINT tidegate_piece");
      upsertRows(connection);
      allNew_ = false;
    }
    discard();
  }
  const bool result = allNew_;
  allNew_ = true;
  return result;
}

void DirectCopy::send(SinkConnection& connection) {
  if (!sending_) {
    connection.run("SAVEPOINT tidegate_piece");
    connection.copyBegin(copySql_);
    sending_ = true;
  }
  connection.copySend(std::string_view(rows_).substr(sent_));
  sent_ = rows_.size();
}

void DirectCopy::upsertRows(SinkConnection& connection) {
  connection.run(stageSql_);
  connection.copyBegin(stageCopySql_);
  connection.copySend(rows_);
  connection.copyEnd();
  connection.run(upsertSql_);
}

}  // namespace tidegate::postgres::detail
