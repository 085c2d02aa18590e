/// The wire form: LakeSync's JSON for values and deltas.
///
/// null, bool, int64, uint64 and double are JSON's own (NaN and infinities: null); a Decimal is a JSON string of its
/// text, so that nothing rounds it; dates, times, timestamps and uuids are strings as `toIso` writes them; Bytes are a
/// base64 string (RFC 4648 section 4); Json is the document itself. Reading gives text for every string, int64 or
/// uint64 for whole numbers that fit, Decimal for whole numbers that do not (but double where the text is a double's
/// own shortest form, as JavaScript writes 1e20), double for other numbers, Json for arrays, objects and numbers beyond
/// a double's range. Depth is bounded by `kMaxJsonDepth`.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/core/delta.h"
#include "tidegate/core/value.h"

namespace tidegate {

inline constexpr std::size_t kMaxJsonDepth = 64;

/// Appends the wire form. Invalid UTF-8 in a text is replaced by U+FFFD, so that the output is always valid JSON.
void appendJson(const Value& v, std::string& out);
void appendJson(const RowDelta& delta, std::string& out);
/// Appends a JSON string literal (quotes included), escaped as RFC 8785 asks.
void appendJsonString(std::string_view text, std::string& out);
std::string toJson(const Value& v);
std::string toJson(const RowDelta& delta);

/// Reads one JSON value. @throws Error{parseError} naming the byte offset.
Value valueFromJson(std::string_view json);
/// Reads one delta. Members it does not know are ignored; `deltaId` may be missing (null id).
/// @throws Error{parseError} naming the member, e.g. "columns[2].column: expected a string".
RowDelta deltaFromJson(std::string_view json);

/// RFC 8785 canonical form of a JSON document (members sorted by UTF-16 units, shortest numbers; integers exact).
/// @throws Error{parseError} if it is not JSON.
std::string canonicalJson(std::string_view json);

}  // namespace tidegate
