/// A push read in one pass, where it is written as clients write it.
///
/// What is not plain (an escape, a nested document, a member that is unknown or repeated, anything malformed) makes it
/// give up; `JsonTree` then reads the same text, or says what is wrong. So this never has to be right about faults:
/// what it takes, the tree takes too, and reads as the same push.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "core/detail/text_out.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::detail {

/// A column as it stands in the text of a push.
struct ScannedColumn {
  std::string_view column;  ///< its name
  bool isText = false;
  std::string_view text;  ///< where `isText`: its octets
  Value value;            ///< where not
};

inline Value valueOf(const ScannedColumn& column) {
  return column.isText ? Value(std::string(column.text)) : column.value;
}

/// A delta as it stands in the text of a push: whatever is text is a view of it.
struct ScannedDelta {
  DeltaOp op = DeltaOp::update;
  std::string_view table{}, rowId{}, clientId{};
  std::span<const ScannedColumn> columns{};
  Hlc hlc{};
  DeltaId deltaId{};
  /// The list of columns where it is written as canonical JSON writes it; else empty.
  std::string_view canonicalColumns{};
};

/// Appends what the delta's id is the digest of.
void writeCanonical(const ScannedDelta& delta, TextOut& out);

/// What stands beside the deltas.
struct ScannedPush {
  std::string_view clientId{};  ///< empty until it was read
  Hlc lastSeenHlc{};
};

/// Reads `json`, giving each delta to `each`, which must copy what it keeps of the span of columns.
/// @return whether all was plain and `each` never said false. @throws what `each` throws.
bool scanPush(std::string_view json, ScannedPush& push, const std::function<bool(const ScannedDelta&)>& each);
/// nullopt: not plain.
std::optional<SyncPush> scanPush(std::string_view json);
/// The same of any text. @throws Error as `pushFromJson`.
SyncPush readPushTree(std::string_view json);

}  // namespace tidegate::detail
