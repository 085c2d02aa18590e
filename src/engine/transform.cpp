#include "tidegate/engine/transform.h"

#include "engine/detail/compiled_transform.h"

namespace tidegate {

TableSchema transformedSchema(const TableSchema& schema, const std::vector<Transform>& steps) {
  return detail::CompiledTransform(schema, steps).schema();
}

}  // namespace tidegate
