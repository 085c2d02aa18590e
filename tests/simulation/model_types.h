/// Rows as the models hold them: plain maps.
#pragma once

#include <map>
#include <string>
#include <tuple>

#include "tidegate/core/delta.h"

namespace tidegate::sim {

struct Key {
  std::string table;
  std::string rowId;
  auto operator<=>(const Key&) const = default;
};

using ModelRow = std::map<std::string, Value>;
using ModelState = std::map<Key, ModelRow>;

/// "orders/7 {owner=u1 qty=3}" for messages; "absent" for null.
std::string show(const Key& key);
std::string show(const ModelRow* row);
std::string show(const RowDelta& delta);

}  // namespace tidegate::sim
