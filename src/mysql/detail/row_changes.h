/// From row events to changes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mysql/detail/binlog_delivery.h"
#include "mysql/detail/binlog_tables.h"
#include "mysql/detail/rows_event.h"

namespace tidegate::mysql::detail {

/// @thread The stream's.
class RowChanges {
 public:
  /// Asks the server, by the key in `row`, for those `columns` of it that the binlog left out, as they are by now.
  /// @return false: there is no such row any more. What removed it stands behind the event in the binlog.
  using Fill = std::function<bool(const TableBinding& table, std::vector<Value>& row,
                                  const std::vector<std::uint32_t>& columns)>;
  RowChanges(BinlogDelivery& delivery, BinlogTables& tables, Fill fill)
      : delivery_(delivery), tables_(tables), fill_(std::move(fill)) {}

  /// Delivers the rows of a row event. @throws Error{parseError}
  void take(const BinlogEvent& event);

 private:
  using Part = BinlogDelivery::Part;
  void tellSchema(TableBinding& table);
  void insert(OctetCursor& in, const RowsEvent& rows, const TableBinding& table);
  void insertInPart(OctetCursor& in, const RowsEvent& rows, const TableBinding& table);
  void erase(OctetCursor& in, const RowsEvent& rows, const TableBinding& table);
  void update(OctetCursor& in, const RowsEvent& rows, const TableBinding& table);
  void changeKey(const TableBinding& table, std::size_t bytes);
  bool keyChanged(const TableBinding& table) const;
  void completeAfter();
  void completeDocuments(const TableBinding& table, ChangeEvent& event);

  BinlogDelivery& delivery_;
  BinlogTables& tables_;
  Fill fill_;
  std::string inflated_;
  std::vector<Value> before_, after_;
  std::vector<std::uint32_t> beforeAbsent_, afterAbsent_;
  std::vector<std::uint32_t> unknown_;  ///< JSON documents whose update only the table can tell
};

}  // namespace tidegate::mysql::detail
