#include "sink/detail/row_layout.h"

#include <algorithm>

#include "core/detail/packed.h"

namespace tidegate::detail {

RowLayout::RowLayout(Shape shape) : shape_(std::move(shape)), order_(shape_->key), place_(shape_->columns->size()) {
  for (std::uint32_t i = 0; i < place_.size(); ++i) {
    if (std::find(shape_->key.begin(), shape_->key.end(), i) == shape_->key.end()) order_.push_back(i);
  }
  for (std::uint32_t i = 0; i < order_.size(); ++i) place_[order_[i]] = i;
}

bool RowLayout::sameAs(const RowLayout& other) const noexcept {
  return shape_ == other.shape_ ||
         (shape_->columns->names() == other.shape_->columns->names() && shape_->key == other.shape_->key);
}

PackedRow RowLayout::pack(const std::vector<Value>& row, std::string& memory) const {
  Packer packer(memory);
  const std::size_t keyColumns = shape_->key.size();
  for (std::size_t i = 0; i < keyColumns; ++i) packer.add(row[order_[i]]);
  const std::size_t keySize = packer.size();
  for (std::size_t i = keyColumns; i < order_.size(); ++i) packer.add(row[order_[i]]);
  return {packer.packed(), keySize};
}

std::string_view RowLayout::packKey(const std::vector<Value>& row, std::string& memory) const {
  Packer packer(memory);
  for (const std::uint32_t i : shape_->key) packer.add(row[i]);
  return packer.packed();
}

void RowLayout::unpack(std::string_view packed, std::vector<Value>& row) const {
  row.resize(order_.size());
  PackedReader reader(packed);
  for (const std::uint32_t i : order_) reader.value(row[i]);
}

void RowLayout::unpackKey(std::string_view packed, std::vector<Value>& key) const {
  key.resize(shape_->key.size());
  PackedReader reader(packed);
  for (Value& value : key) reader.value(value);
}

std::string_view RowLayout::packedCell(std::string_view packed, std::size_t column) const {
  PackedReader reader(packed);
  for (std::uint32_t i = 0; i < place_[column]; ++i) reader.packedValue();
  return reader.packedValue();
}

std::vector<int> RowLayout::mapFrom(const ColumnList& other) const {
  std::vector<int> map;
  for (const std::string& name : shape_->columns->names()) {
    const auto at = other.find(name);
    map.push_back(at ? static_cast<int>(*at) : -1);
  }
  return map;
}

}  // namespace tidegate::detail
