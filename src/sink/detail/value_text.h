/// Values as text, for columns of a target that no type of its database holds exactly.
#pragma once

#include <string>
#include <string_view>

#include "tidegate/core/value.h"

namespace tidegate::detail {

/// Appends the text form of a value that is not null: numbers as shortest digits, dates and times as `toIso`, bytes in
/// lower-case hex, "true" or "false".
void appendValueText(const Value& v, std::string& out);

/// The value of `kind` that the text form means; Text where it is none.
Value valueOfText(ValueKind kind, std::string_view text);

/// Appends one JSON scalar that keeps the kind, for columns of any kind: null, bool, numbers and text are JSON's own;
/// the rest, and a text that begins with '$', is a string "$kind:text form".
void appendTagged(const Value& v, std::string& out);
/// Reads it back. @throws Error{parseError} where the text is no JSON.
Value valueOfTagged(std::string_view json);

}  // namespace tidegate::detail
