/// Answers of the admin API, and what its operations share.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "tidegate/core/error.h"
#include "tidegate/server/api.h"

namespace tidegate::server::detail {

/// JSON that no cache keeps.
http::Response jsonAnswer(int status, std::string body);
/// A problem with the error's `code` and `retry` beside the text, so that programs need not read the text.
http::Response problemOf(int status, const Error& error);
/// A whole number in the query. @throws Error{invalidArgument} naming parameter and bounds.
std::uint64_t numberParameter(const Call& call, std::string_view name, std::uint64_t otherwise, std::uint64_t low,
                              std::uint64_t high);
/// "true" or "false" in the query. @throws Error{invalidArgument}
bool flagParameter(const Call& call, std::string_view name, bool otherwise);
/// A schema that refers to a named one.
std::string schemaReference(std::string_view name);
/// The answer for a caller's own mistake, which every operation may give.
Answer mistake(int status, std::string description);
/// What `numberParameter` and `flagParameter` throw: told apart from an unknown name, which has the same code.
class BadParameter : public Error {
 public:
  explicit BadParameter(const std::string& why) : Error(ErrorCode::invalidArgument, Retry::never, why) {}
};

}  // namespace tidegate::server::detail
