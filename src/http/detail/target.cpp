#include "http/detail/target.h"

#include <algorithm>

#include "http/detail/text.h"
#include "tidegate/core/error.h"
#include "tidegate/http/message.h"

namespace tidegate::http::detail {
namespace {

bool hasDotSegment(std::string_view path) {
  if (path.find('.') == std::string_view::npos) return false;
  const auto segments = splitPath(path);
  return std::any_of(segments.begin(), segments.end(), [](std::string_view s) { return s == "." || s == ".."; });
}

bool isAbsolute(std::string_view target) noexcept {
  return startsWithName(target, "http://") || startsWithName(target, "https://");
}

}  // namespace

std::string_view rawPath(std::string_view target) noexcept {
  if (isAbsolute(target)) {
    target.remove_prefix(target.find("//") + 2);
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    if (target.empty() || target.front() == '?') return "/";
  }
  if (!target.starts_with('/')) return {};
  return target.substr(0, target.find('?'));
}

std::vector<std::string_view> splitPath(std::string_view path) {
  std::vector<std::string_view> out;
  if (path.starts_with('/')) path.remove_prefix(1);
  while (true) {
    const std::size_t slash = path.find('/');
    out.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return out;
    path.remove_prefix(slash + 1);
  }
}

std::string_view parseTarget(std::string_view method, std::string_view target, Target& out) {
  const auto visible = [](char c) { return c > 0x20 && c < 0x7F && c != '#'; };
  if (!std::all_of(target.begin(), target.end(), visible)) return "the target holds what must be percent-encoded";
  out.query.clear();
  if (target == "*" && method == "OPTIONS") {
    out.path = "*";
    return {};
  }
  const std::string_view raw = rawPath(target);
  if (raw.empty()) return "the target is neither a path nor a URL";
  if (raw.find('%') == std::string_view::npos) {
    out.path = raw;
  } else {
    auto decoded = percentDecode(raw);
    if (!decoded) return "a '%' of the path is not followed by two hexadecimal digits";
    out.path = *std::move(decoded);
    if (out.path.find('\0') != std::string::npos) return "the path holds NUL";
  }
  if (hasDotSegment(out.path)) return "the path holds dot segments";
  if (const std::size_t mark = target.find('?'); mark != std::string_view::npos) out.query = target.substr(mark + 1);
  return {};
}

std::string redactTarget(std::string_view target) {
  std::size_t at = std::min(target.find('?'), target.size());
  std::string out(target.substr(0, at));
  while (at < target.size()) {
    const std::size_t begin = at + 1;  // behind '?' or '&'
    at = std::min(target.find_first_of("&;", begin), target.size());
    const std::string_view pair = target.substr(begin - 1, at - begin + 1);
    const std::string_view raw = pair.substr(1, std::min(pair.find('='), pair.size()) - 1);
    const std::string name = percentDecode(raw).value_or("");
    // One encoded letter would hide the name, though not from whoever decodes it.
    const bool hidden = !name.empty() && name != raw && redactSecrets(name + "=x") != name + "=x";
    out += hidden ? pair.substr(0, 1 + raw.size()) : pair;
    if (hidden) out += "=***";
  }
  return redactSecrets(out);
}

}  // namespace tidegate::http::detail
