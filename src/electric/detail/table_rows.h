/// The rows of one table as they are now, and pictures of them that stay.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "electric/detail/shape_offset.h"
#include "tidegate/source/change_event.h"

namespace tidegate::electric::detail {

/// A row's values, packed in the columns' order; shared by the table and by pictures of it.
using PackedRow = std::shared_ptr<const std::string>;

PackedRow packRow(const std::vector<Value>& row);
void unpackRow(const std::string& packed, std::vector<Value>& row);

/// A table at one moment. Taking one costs a pointer for each row; rows that change later stay here as they were.
struct TableSnapshot {
  std::uint32_t id = 0;
  Shape shape{};
  ShapeOffset at{};  ///< everything up to here is in it
  std::vector<PackedRow> rows{};
  std::uint64_t changes = 0;  ///< the table's count of changes then
  std::int64_t usedMicros = 0;
};

/// @thread Guarded by its hub.
class TableRows {
 public:
  explicit TableRows(Shape shape) : shape_(std::move(shape)) {}

  const Shape& shape() const noexcept { return shape_; }
  std::size_t size() const noexcept { return rows_.size(); }
  std::size_t bytes() const noexcept { return bytes_; }
  std::uint64_t changes() const noexcept { return changes_; }

  /// The row of a key, unpacked. @return false where there is none.
  bool find(const std::string& key, std::vector<Value>& row) const;
  /// Puts a row in place, or takes it out where `row` is null.
  void set(const std::string& key, const std::vector<Value>* row);
  void clear();
  /// From here on rows that are named are marked.
  void beginBaseline() noexcept {
    ++mark_;
    baseline_ = true;
  }
  void name(const std::string& key);
  /// Keys of rows that no one named since. Ends the baseline.
  std::vector<std::string> endBaseline();
  bool inBaseline() const noexcept { return baseline_; }
  /// Gives the table other columns; values go by name, after `renamed`.
  void reshape(Shape next, const std::vector<std::pair<std::string, std::string>>& renamed);
  std::vector<PackedRow> all() const;

 private:
  struct Stored {
    PackedRow packed{};
    std::uint64_t mark = 0;
  };
  static std::size_t costOf(const std::string& key, const PackedRow& packed);

  Shape shape_;
  std::unordered_map<std::string, Stored> rows_;
  std::size_t bytes_ = 0;
  std::uint64_t changes_ = 0;
  std::uint64_t mark_ = 0;
  bool baseline_ = false;
};

}  // namespace tidegate::electric::detail
