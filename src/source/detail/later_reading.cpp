#include "source/detail/later_reading.h"

#include "core/detail/packed.h"
#include "source/detail/diff_poller.h"

namespace tidegate::detail {

LaterReading::LaterReading(TableSnapshot& picture, const std::vector<std::string>& rowIdColumns)
    : picture_(picture), rowIdColumns_(rowIdColumns), layouts_(rowIdColumns) {
  picture_.beginPoll();
  if (picture_.mark(RowLayouts::kRowId, {}, before_) == TableSnapshot::Found::differs) layouts_.decode(before_);
}

void LaterReading::row(const Columns& columns, const std::vector<Value>& values) {
  if (!shape_) {
    shape_.emplace(columns, rowIdColumns_);
    layout_ = layouts_.number(shape_->dataNames());
  }
  shape_->rowId(values, id_);
  packed_.clear();
  putVarint(layout_, packed_);
  for (const std::size_t at : shape_->data()) packValue(values[at], packed_);
  const auto found = picture_.mark(id_, packed_, before_);
  if (found == TableSnapshot::Found::missing || found == TableSnapshot::Found::differs) differ_.push_back(id_);
}

void LaterReading::finish() {
  picture_.visitUnmarked([&](std::string_view id, std::string_view) {
    if (id != RowLayouts::kRowId) differ_.emplace_back(id);
  });
  for (const std::string& id : differ_) picture_.put(id, kInDoubt);
  picture_.commit();
}

}  // namespace tidegate::detail
