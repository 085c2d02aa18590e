/// The column lists that a snapshot's rows were packed with. They stand in the snapshot itself, under the row id that
/// no row can have (the empty one), so that a picture can always be read without any other state.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/row.h"

namespace tidegate::detail {

/// A packed row is the number of its layout and its values.
class RowLayouts {
 public:
  static constexpr std::string_view kRowId = "";

  explicit RowLayouts(std::vector<std::string> rowIdColumns) : rowIdColumns_(std::move(rowIdColumns)) {}

  std::string encode() const;
  /// @return false, with nothing changed, if the octets were made with other row id columns or cannot be read.
  bool decode(std::string_view octets);

  /// The layout of a column list, added where it is new.
  std::size_t number(const std::vector<std::string>& names);
  std::size_t size() const noexcept { return layouts_.size(); }
  const Columns& at(std::size_t layout) const { return layouts_[layout]; }
  /// @throws Error{storeCorrupt}
  Row unpack(std::string_view packed) const;

 private:
  std::vector<std::string> rowIdColumns_;
  std::vector<Columns> layouts_;
};

}  // namespace tidegate::detail
