/// One target table of a sink: encodes its changes, and sends them.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "postgres/detail/direct_copy.h"
#include "postgres/detail/target.h"
#include "sink/detail/pending_rows.h"

namespace tidegate::postgres::detail {

/// What a baseline under way needs to know at its end.
struct BaselineState {
  bool active = false;
  /// No change of the table came but reads since it began on an empty target: rows may be copied straight in.
  bool pristine = false;
  std::string seenTable{};  ///< quoted; holds the keys that were named. Empty: the target was empty when it began
};

class SinkTable {
 public:
  SinkTable(TargetName name, Shape shape, std::vector<ColumnPlan> plans, std::string softDeleteColumn);

  const Shape& shape() const { return shape_; }
  const TargetName& name() const { return name_; }
  const std::vector<ColumnPlan>& plans() const { return plans_; }
  /// Takes another shape object that says the same.
  void adopt(const Shape& shape) { shape_ = shape; }

  /// Takes an insert, read, update or erase. @throws Error{typeUnsupported, rowIdInvalid} naming column and key.
  void add(const ChangeEvent& event);
  /// Takes a read straight to the server, by COPY. Only while `baseline.pristine`.
  void copy(const ChangeEvent& event, SinkConnection& connection);
  bool canCopy() const { return copy_.possible(); }

  std::size_t pendingBytes() const { return pending_.bytes(); }
  /// Ends a COPY and sends what is pending.
  void flush(SinkConnection& connection);

  /// `t.key = other.key AND …`, where the other's columns are the key's, prefix1…
  std::string keyMatch(const std::string& other, const std::string& prefix) const;
  /// Condition for rows that are there, where deletion is soft; else empty.
  std::string aliveCondition() const;
  /// Deletes, or marks, the rows of `t` for which the SQL condition holds.
  std::string eraseSql(const std::string& from, const std::string& condition) const;

  BaselineState baseline;

 private:
  struct Arrays;
  void encode(const std::vector<Value>& values, const std::vector<std::uint32_t>& unchanged, std::string& out);
  void encodeColumn(std::size_t column, const std::vector<Value>& values, std::string& out);
  void keyOf(const std::string& rows);
  [[noreturn]] void refuseValue(std::size_t column, const std::vector<Value>& values, Misfit why) const;
  std::string describeKey(const std::vector<Value>& values) const;

  void sendErases(SinkConnection& connection);
  void sendUpserts(SinkConnection& connection);
  void sendPatches(SinkConnection& connection);
  void sendSeen(SinkConnection& connection);
  std::string unnest(const std::vector<std::uint32_t>& columns) const;
  std::string upsertSql() const;
  std::string keyLookUp(const std::vector<std::uint32_t>& columns) const;
  std::string patchSql(const std::vector<std::uint32_t>& columns) const;
  void runWith(SinkConnection& connection, const std::string& sql, const std::vector<std::uint32_t>& columns,
               Arrays& arrays);

  TargetName name_;
  Shape shape_;
  std::vector<ColumnPlan> plans_;
  std::string softDelete_;  ///< quoted; empty: rows are deleted
  tidegate::detail::PendingRows pending_;
  DirectCopy copy_;
  std::vector<std::uint32_t> allColumns_;
  std::map<std::string, std::string> prepared_;  ///< SQL to the name of its prepared statement
  std::vector<std::size_t> fieldAt_;             ///< of the row being encoded
  std::string key_;
};

}  // namespace tidegate::postgres::detail
