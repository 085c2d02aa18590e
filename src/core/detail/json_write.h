/// JSON output that the public header does not offer.
#pragma once

#include <string>

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// Appends a value as it stands in the canonical JSON of a delta.
void appendCanonicalValue(const Value& v, std::string& out);

}  // namespace tidegate::detail
