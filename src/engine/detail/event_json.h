/// Changes as JSON, so that a dead letter can be applied again: types and shape included.
#pragma once

#include <string>
#include <string_view>

#include "tidegate/source/change_event.h"

namespace tidegate {
class SyncSource;
}

namespace tidegate::detail {

/// A value with its kind: null, or `["kind", "text"]`. Exact for every kind.
void appendTypedValue(const Value& value, std::string& out);

/// @param source writes the position.
std::string eventJson(const ChangeEvent& event, const SyncSource& source);
/// @throws Error{parseError}
ChangeEvent eventFromJson(std::string_view json, const SyncSource& source);

/// The row's key for people, e.g. `id=7`; every known column where there is no key.
std::string describeKey(const ChangeEvent& event);

}  // namespace tidegate::detail
