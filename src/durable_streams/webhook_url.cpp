#include "durable_streams/detail/webhook_url.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <vector>

#include "http/detail/public_address.h"

namespace tidegate::durable_streams::detail {

namespace {

struct UrlParts {
  std::string scheme;
  std::string host;  ///< lower case, without brackets
  bool bracketed = false;
};

std::string lowered(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::optional<UrlParts> urlParts(std::string_view url) {
  const std::size_t colon = url.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  if (std::any_of(url.begin(), url.end(), [](unsigned char c) { return c <= ' ' || c == '\\' || c >= 0x7F; }))
    return std::nullopt;
  UrlParts parts{.scheme = lowered(url.substr(0, colon)), .host = {}};
  std::string_view rest = url.substr(colon + 3);
  rest = rest.substr(0, rest.find_first_of("/?#"));
  // Names before an '@' make a host look like another one.
  if (rest.find('@') != std::string_view::npos) return std::nullopt;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    parts.host = lowered(rest.substr(1, end - 1));
    parts.bracketed = true;
    return parts;
  }
  const std::size_t port = rest.find(':');
  if (port != std::string_view::npos && !std::all_of(rest.begin() + static_cast<std::ptrdiff_t>(port) + 1, rest.end(),
                                                     [](unsigned char c) { return std::isdigit(c) != 0; }))
    return std::nullopt;
  parts.host = lowered(rest.substr(0, port));
  while (parts.host.ends_with('.')) parts.host.pop_back();
  if (parts.host.empty()) return std::nullopt;
  return parts;
}

/// The dotted form, and whatever else a resolver takes for one: fewer dots, hexadecimal, octal, one number.
std::optional<std::uint32_t> ipv4(const std::string& host) {
  in_addr address{};
  if (::inet_aton(host.c_str(), &address) == 0) return std::nullopt;
  return ntohl(address.s_addr);
}

bool isLocal(std::uint32_t address) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_addr.s_addr = htonl(address);
  return !http::detail::isPublicAddress(reinterpret_cast<const sockaddr*>(&four), sizeof four);
}

std::vector<std::string_view> segmentsOf(std::string_view path) {
  std::vector<std::string_view> out;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) out.push_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return out;
}

}  // namespace

std::string webhookUrlProblem(std::string_view url, bool local) {
  const auto parts = urlParts(url);
  if (!parts) return "webhook.url must be a URL with scheme and host, without a user";
  const auto address = ipv4(parts->host);
  const bool loopback = parts->host == "localhost" || (address && *address >> 8 == 0x7F0000);
  if (parts->scheme == "http") {
    return local && loopback ? "" : "webhook.url must use https";
  }
  if (parts->scheme != "https") return "webhook.url must use https";
  if (parts->bracketed) return "webhook.url must name its host; IPv6 addresses are not accepted";
  if (parts->host == "localhost" || parts->host.ends_with(".localhost") || parts->host.ends_with(".local") ||
      parts->host.ends_with(".internal") || (address && isLocal(*address))) {
    return "webhook.url must not point into a local network";
  }
  return {};
}

bool globMatches(std::string_view pattern, std::string_view path) {
  const auto want = segmentsOf(pattern);
  const auto have = segmentsOf(path);
  // Row by row: which prefixes of the path the pattern's first segments match. Linear in each, whatever the stars.
  std::vector<bool> reach(have.size() + 1, false);
  reach[0] = true;
  for (const std::string_view segment : want) {
    std::vector<bool> next(have.size() + 1, false);
    if (segment == "**") {
      bool any = false;
      for (std::size_t i = 0; i <= have.size(); ++i) next[i] = any = any || reach[i];
    } else {
      for (std::size_t i = 0; i < have.size(); ++i) next[i + 1] = reach[i] && (segment == "*" || segment == have[i]);
    }
    reach = std::move(next);
  }
  return reach[have.size()];
}

std::string trimSlashes(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  return std::string(path);
}

}  // namespace tidegate::durable_streams::detail
