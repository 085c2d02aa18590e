#include "electric/detail/where_groups.h"

#include <algorithm>

#include "core/detail/packed.h"

namespace tidegate::electric::detail {

void WhereGroups::add(LiveShape& shape) {
  const Where& where = shape.definition.where;
  auto& group = groups_[where.text()];
  if (group == nullptr) {
    group = std::make_unique<WhereGroup>(WhereGroup{.where = where});
    if (where.equalities().empty()) {
      scanned_.push_back(group.get());
    } else {
      const WhereEquality& equality = where.equalities().front();
      std::string key;
      tidegate::detail::packValue(equality.value, key);
      indexed_[equality.column][key].push_back(group.get());
    }
  }
  group->shapes.push_back(&shape);
}

void WhereGroups::remove(LiveShape& shape) {
  const Where& where = shape.definition.where;
  const auto found = groups_.find(where.text());
  if (found == groups_.end()) return;
  WhereGroup* const group = found->second.get();
  std::erase(group->shapes, &shape);
  if (!group->shapes.empty()) return;
  if (where.equalities().empty()) {
    std::erase(scanned_, group);
  } else {
    const WhereEquality& equality = where.equalities().front();
    std::string key;
    tidegate::detail::packValue(equality.value, key);
    auto& byValue = indexed_[equality.column];
    std::erase(byValue[key], group);
    if (byValue[key].empty()) byValue.erase(key);
    if (byValue.empty()) indexed_.erase(equality.column);
  }
  groups_.erase(found);
}

void WhereGroups::addCandidates(std::uint32_t column, const Value& value) {
  key_.clear();
  tidegate::detail::packValue(value, key_);
  const auto& byValue = indexed_.at(column);
  const auto found = byValue.find(key_);
  if (found != byValue.end()) candidates_.insert(candidates_.end(), found->second.begin(), found->second.end());
}

const std::vector<WhereGroup*>& WhereGroups::candidates(const RowImages& images) {
  candidates_ = scanned_;
  for (const auto& [column, byValue] : indexed_) {
    if (images.before != nullptr) addCandidates(column, (*images.before)[column]);
    const bool moved =
        images.before == nullptr || (images.after != nullptr && !((*images.before)[column] == (*images.after)[column]));
    if (images.after != nullptr && moved) addCandidates(column, (*images.after)[column]);
  }
  return candidates_;
}

}  // namespace tidegate::electric::detail
