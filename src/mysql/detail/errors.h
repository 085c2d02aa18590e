/// The server's and Connector/C++'s failures as tidegate::Error.
#pragma once

#include <string_view>

#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {

/// @param number the server's or client library's error number; 0 where none is known.
Error fromNumber(int number, std::string_view sqlState, std::string_view text);

/// What is being handled now (call inside `catch`), as an Error; bad_alloc is thrown on.
/// @param context e.g. "cannot connect to mysql at …"; may be empty.
Error fromCurrentException(std::string_view context = {});

}  // namespace tidegate::mysql::detail
