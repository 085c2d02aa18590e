#include "source/detail/row_layouts.h"

#include "core/detail/packed.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace layouts_detail {

constexpr std::uint8_t kLayoutsVersion = 1;

void putNames(const std::vector<std::string>& names, std::string& out) {
  putVarint(names.size(), out);
  for (const std::string& name : names) putText(name, out);
}

std::vector<std::string> readNames(PackedReader& in) {
  std::vector<std::string> names;
  for (std::uint64_t n = in.varint(); n > 0; --n) names.emplace_back(in.text());
  return names;
}

}  // namespace layouts_detail

using namespace layouts_detail;

std::string RowLayouts::encode() const {
  std::string out(1, static_cast<char>(kLayoutsVersion));
  putNames(rowIdColumns_, out);
  putVarint(layouts_.size(), out);
  for (const Columns& layout : layouts_) putNames(layout->names(), out);
  return out;
}

bool RowLayouts::decode(std::string_view octets) {
  try {
    PackedReader in(octets);
    if (in.octet() != kLayoutsVersion || readNames(in) != rowIdColumns_) return false;
    std::vector<Columns> layouts;
    for (std::uint64_t n = in.varint(); n > 0; --n) layouts.push_back(makeColumns(readNames(in)));
    layouts_ = std::move(layouts);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::size_t RowLayouts::number(const std::vector<std::string>& names) {
  for (std::size_t i = 0; i < layouts_.size(); ++i) {
    if (layouts_[i]->names() == names) return i;
  }
  layouts_.push_back(makeColumns(names));
  return layouts_.size() - 1;
}

Row RowLayouts::unpack(std::string_view packed) const {
  PackedReader in(packed);
  const std::uint64_t layout = in.varint();
  if (layout >= layouts_.size()) {
    throw Error(
        ErrorCode::storeCorrupt, Retry::afterOperator,
        "a snapshot row names a column list that the snapshot does not hold: remove the snapshot, and the table "
        "is read anew");
  }
  Row row{layouts_[layout], std::vector<Value>(layouts_[layout]->size())};
  for (Value& v : row.values) in.value(v);
  return row;
}

}  // namespace tidegate::detail
