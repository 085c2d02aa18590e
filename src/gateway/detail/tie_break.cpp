#include "gateway/detail/tie_break.h"

#include <string>

#include "core/detail/json_write.h"
#include "core/detail/packed.h"

namespace tidegate::detail {

int tieBreak(std::string_view packedA, std::string_view packedB) {
  std::string a, b;
  appendCanonicalValue(PackedReader(packedA).value(), a);
  appendCanonicalValue(PackedReader(packedB).value(), b);
  const int byJson = a.compare(b);
  return byJson != 0 ? byJson : packedA.compare(packedB);
}

}  // namespace tidegate::detail
