/// A request's target (RFC 9112, section 3.2): checked, split and decoded once, for everyone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tidegate::http::detail {

struct Target {
  std::string path;   ///< decoded, begins with '/'; "*" for OPTIONS of the whole server
  std::string query;  ///< encoded, without '?'
};

/// The target's path, still encoded: without scheme and host, query and fragment. Empty where it has none.
std::string_view rawPath(std::string_view target) noexcept;

/// Splits a path that begins with '/' into its segments: "/a//b" is "a", "", "b"; "/" is one empty segment.
std::vector<std::string_view> splitPath(std::string_view path);

/// Decodes a target. @return what is wrong with it, empty where nothing is: octets that no URL may hold, a '%' without
/// two digits, NUL, dot segments (also encoded ones, and those that an encoded slash makes).
std::string_view parseTarget(std::string_view method, std::string_view target, Target& out);

/// The target as a log may show it: values of query parameters that name secrets become `***`, also where the name is
/// percent-encoded.
std::string redactTarget(std::string_view target);

}  // namespace tidegate::http::detail
