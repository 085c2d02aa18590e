/// The conditions on one table: each is judged once for a change, however many shapes have it, and those that ask a
/// column to equal a value are found by that value.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "electric/detail/live_shape.h"

namespace tidegate::electric::detail {

struct WhereGroup {
  Where where{};
  std::vector<LiveShape*> shapes{};
};

/// A change as conditions see it; null: the row was not, or is not, there.
struct RowImages {
  const std::vector<Value>* before = nullptr;
  const std::vector<Value>* after = nullptr;
};

/// @thread Guarded by its hub.
class WhereGroups {
 public:
  void add(LiveShape& shape);
  void remove(LiveShape& shape);
  bool empty() const noexcept { return groups_.empty(); }
  std::size_t size() const noexcept { return groups_.size(); }
  /// Groups that may take one of the images; the others take neither. Holds until the next call.
  const std::vector<WhereGroup*>& candidates(const RowImages& images);

 private:
  using Bucket = std::vector<WhereGroup*>;
  void addCandidates(std::uint32_t column, const Value& value);

  std::map<std::string, std::unique_ptr<WhereGroup>> groups_;
  Bucket scanned_;                                                            ///< groups that no index finds
  std::map<std::uint32_t, std::unordered_map<std::string, Bucket>> indexed_;  ///< by column, then by packed value
  Bucket candidates_;
  std::string key_;
};

}  // namespace tidegate::electric::detail
