/// A push read in one pass, where it is written as clients write it.
///
/// What is not plain (an escape, a nested document, a member that is unknown or repeated, anything malformed) makes it
/// give up; `JsonTree` then reads the same text, or says what is wrong. So this never has to be right about faults:
/// what it takes, the tree takes too, and reads as the same push.
#pragma once

#include <optional>
#include <string_view>

#include "tidegate/gateway/messages.h"

namespace tidegate::detail {

/// nullopt: not plain.
std::optional<SyncPush> scanPush(std::string_view json);
/// The same of any text. @throws Error as `pushFromJson`.
SyncPush readPushTree(std::string_view json);

}  // namespace tidegate::detail
