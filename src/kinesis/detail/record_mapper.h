/// Records `{"table","action","row","identity"}` as change events.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "kinesis/detail/row_decoder.h"
#include "tidegate/source/change_event.h"

namespace tidegate::kinesis::detail {

using Shapes = std::map<std::string, Shape, std::less<>>;

/// @thread One at a time.
class RecordMapper {
 public:
  explicit RecordMapper(Shapes wanted) : wanted_(std::move(wanted)) {}

  /// Appends the record's event, without position and time, to the batch. @return false: of a table nobody asked for.
  /// @throws Error{parseError}; the batch is as it was then.
  bool map(std::string_view record, ChangeBatch& batch);

 private:
  void fill(const RecordFields& fields, ChangeEvent& event);
  void fillUpdate(const RecordFields& fields, ChangeEvent& event);
  void fillErase(const RecordFields& fields, ChangeEvent& event);

  const Shapes wanted_;
  RowDecoder decoder_;
  std::vector<std::uint32_t> missing_;
};

}  // namespace tidegate::kinesis::detail
