/// One target table of a sink: encodes its changes, and sends them by prepared statements of many rows.
#pragma once

#include <cppconn/prepared_statement.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mysql/detail/target.h"
#include "sink/detail/pending_rows.h"

namespace tidegate::mysql::detail {

/// What a baseline under way needs to know at its end.
struct BaselineState {
  bool active = false;
  bool tracked = false;  ///< the target held rows when it began: keys that are named are noted
};

class SinkTable {
 public:
  /// @param namedTable quoted; where keys are noted.
  SinkTable(TargetName name, Shape shape, std::vector<ColumnPlan> plans, std::string softDeleteColumn,
            std::string namedTable);

  const Shape& shape() const { return shape_; }
  const TargetName& name() const { return name_; }
  const std::string& namedTable() const { return namedTable_; }
  void adopt(const Shape& shape) { shape_ = shape; }
  /// A column has another name in the target from now on.
  void renameColumn(const std::string& from, const std::string& to);
  const ColumnPlan& plan(std::size_t column) const { return plans_[column]; }

  /// Takes an insert, read, update or erase. @throws Error{typeUnsupported, rowIdInvalid} naming column and key.
  void add(const ChangeEvent& event);
  std::size_t pendingBytes() const { return pending_.bytes(); }
  void flush(SinkConnection& connection);

  /// Deletes, or marks, the rows of `t` for which the SQL condition holds.
  std::string eraseSql(const std::string& join, const std::string& condition) const;
  /// `s.k1 = t.key1 AND …`
  std::string namedMatch() const;

  BaselineState baseline;

 private:
  /// Rows of one statement's kind: `head` (row, row, …) `tail`.
  struct Rows {
    std::string head, row, separator, tail;
    std::vector<std::vector<std::string_view>> fields{};
  };
  void encodeColumn(std::size_t column, const std::vector<Value>& values, std::string& out);
  void keyOf(const std::string& rows);
  [[noreturn]] void refuseValue(std::size_t column, const std::vector<Value>& values, const char* why) const;
  void send(SinkConnection& connection, const Rows& rows);
  void sendSome(SinkConnection& connection, const Rows& rows, std::size_t first, std::size_t count);
  sql::PreparedStatement& prepared(SinkConnection& connection, const std::string& sql);

  void sendErases(SinkConnection& connection);
  void sendUpserts(SinkConnection& connection);
  void sendPatches(SinkConnection& connection);
  void sendNamed(SinkConnection& connection);
  std::string marks(const std::vector<std::uint32_t>& columns) const;
  std::string keyCondition() const;
  std::vector<std::string_view> fieldsOf(const tidegate::detail::PendingRows::Entry& entry) const;
  std::vector<std::string_view> keyFieldsOf(const tidegate::detail::PendingRows::Entry& entry) const;

  TargetName name_;
  Shape shape_;
  std::vector<ColumnPlan> plans_;
  std::string softDelete_;  ///< quoted; empty: rows are deleted
  std::string namedTable_;
  tidegate::detail::PendingRows pending_;
  std::map<std::string, std::unique_ptr<sql::PreparedStatement>> prepared_;
  std::vector<std::size_t> fieldAt_;  ///< of the row being encoded
  std::string key_;
};

}  // namespace tidegate::mysql::detail
