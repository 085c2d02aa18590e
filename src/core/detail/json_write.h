/// JSON output that the public header does not offer. `Out` is std::string or TextOut.
#pragma once

#include <string>
#include <string_view>

#include "tidegate/core/delta.h"
#include "tidegate/core/value.h"

namespace tidegate::detail {

/// Appends a JSON string literal.
template <class Out>
void writeJsonString(std::string_view text, Out& out);

/// Appends a value as it stands in the canonical JSON of a delta.
template <class Out>
void appendCanonicalValue(const Value& v, Out& out);

/// Appends what a delta's id is the digest of.
template <class Out>
void writeCanonicalDelta(const RowDelta& delta, Out& out);

}  // namespace tidegate::detail
