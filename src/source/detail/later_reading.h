/// Where a table that was read anew differs from a diff poller's picture of it.
///
/// The two are of different moments. A row may have come or gone in between and be as the picture has it when it is
/// next polled: then nobody would be told of it. So each row in which they differ is marked as in doubt.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "source/detail/row_layouts.h"
#include "source/detail/row_shape.h"
#include "tidegate/source/snapshot_store.h"

namespace tidegate::detail {

/// @thread One at a time; no poll of the table may run meanwhile.
class LaterReading {
 public:
  LaterReading(TableSnapshot& picture, const std::vector<std::string>& rowIdColumns);
  void row(const Columns& columns, const std::vector<Value>& values);
  /// Every row was read. Marks, and commits.
  void finish();

 private:
  TableSnapshot& picture_;
  const std::vector<std::string>& rowIdColumns_;
  RowLayouts layouts_;
  std::optional<RowShape> shape_;
  std::size_t layout_ = 0;
  std::vector<std::string> differ_;
  std::string id_, packed_, before_;
};

}  // namespace tidegate::detail
