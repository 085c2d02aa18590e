#include "mysql/detail/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/detail/ca_bundle.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "mysql::ConnectOptions: " + redactSecrets(message));
}

std::string percentDecoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned octet = 0;
    const auto [end, error] =
        std::from_chars(text.data() + i + 1, text.data() + std::min(i + 3, text.size()), octet, 16);
    if (error != std::errc{} || end != text.data() + i + 3)
      refuse("url: '%' must be followed by two hexadecimal digits");
    out.push_back(static_cast<char>(octet));
    i += 2;
  }
  return out;
}

/// Splits at the first `mark`; the second part is empty without one.
std::pair<std::string_view, std::string_view> cut(std::string_view text, char mark) {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return {text, {}};
  return {text.substr(0, at), text.substr(at + 1)};
}

void fill(std::string& field, std::string_view encoded) {
  if (field.empty()) field = percentDecoded(encoded);
}

TlsMode modeNamed(std::string_view encoded) {
  std::string name = percentDecoded(encoded);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
  if (name == "DISABLED") return TlsMode::off;
  if (name == "REQUIRED" || name == "VERIFY_IDENTITY") return TlsMode::verifyFull;
  if (name == "VERIFY_CA")
    refuse("ssl-mode=VERIFY_CA: the client library checks the host name with the chain; use VERIFY_IDENTITY");
  if (name == "PREFERRED")
    refuse("ssl-mode=PREFERRED may fall back to plain text unseen; use VERIFY_IDENTITY or DISABLED");
  refuse("url: ssl-mode must be DISABLED, REQUIRED or VERIFY_IDENTITY");
}

void applyQuery(std::string_view query, ConnectOptions& out) {
  while (!query.empty()) {
    const auto [item, rest] = cut(query, '&');
    const auto [name, value] = cut(item, '=');
    query = rest;
    if (name == "socket") {
      if (out.host.empty()) fill(out.unixSocket, value);
    } else if (name == "ssl-mode") {
      if (!out.tls) out.tls = modeNamed(value);
    } else if (name == "ssl-ca")
      fill(out.caFile, value);
    else if (name == "ssl-cert")
      fill(out.certFile, value);
    else if (name == "ssl-key")
      fill(out.keyFile, value);
    else
      refuse(fmt::format("url: unknown parameter '{}'; known are socket, ssl-mode, ssl-ca, ssl-cert, ssl-key", name));
  }
}

void applyAuthority(std::string_view authority, ConnectOptions& out) {
  const auto at = authority.rfind('@');
  if (at != std::string_view::npos) {
    const auto [user, password] = cut(authority.substr(0, at), ':');
    fill(out.user, user);
    fill(out.password, password);
    authority.remove_prefix(at + 1);
  }
  const auto bracket = authority.rfind(']');  // "[::1]:3306"
  const auto colon = authority.rfind(':');
  std::string_view host = authority;
  if (colon != std::string_view::npos && (bracket == std::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    std::uint16_t port = 0;
    const std::string_view digits = authority.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error != std::errc{} || end != digits.data() + digits.size() || port == 0)
      refuse("url: the port must be 1 to 65535");
    if (out.port == 0) out.port = port;
  }
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  fill(out.host, host);
}

void applyUrl(ConnectOptions& out) {
  const std::string text = std::exchange(out.url, {});
  std::string_view url = text;
  const auto scheme = url.find("://");
  if (scheme == std::string_view::npos || (url.substr(0, scheme) != "mysql" && url.substr(0, scheme) != "mariadb")) {
    refuse("url must look like \"mysql://user@host:3306/database\"; escape special characters as %XX");
  }
  const auto [hierarchy, query] = cut(url.substr(scheme + 3), '?');
  const auto [authority, database] = cut(hierarchy, '/');
  applyQuery(query, out);
  applyAuthority(authority, out);
  fill(out.database, database);
}

void settleTls(ConnectOptions& out) {
  if (!out.tls) out.tls = TlsMode::off;
  if (*out.tls == TlsMode::off) {
    if (!out.caFile.empty() || !out.certFile.empty() || !out.keyFile.empty()) {
      refuse("caFile, certFile and keyFile need TLS: set tls = TlsMode::verifyFull");
    }
  } else if (*out.tls == TlsMode::requireUnverified) {
    if (!out.caFile.empty()) refuse("tls = requireUnverified verifies nothing: take away caFile, or use verifyFull");
  } else if (out.caFile.empty()) {
    out.caFile = tidegate::detail::systemCaBundle();
    if (out.caFile.empty()) refuse("no system certificates were found: name your CA's file in caFile");
  }
  if (*out.tls == TlsMode::verifyFull && !out.unixSocket.empty()) {
    refuse("a unix socket has no host name to verify: connect to host, or set tls = TlsMode::off");
  }
}

}  // namespace

ConnectOptions resolve(ConnectOptions options) {
  if (options.connectTimeout.count() <= 0) refuse("connectTimeout must be positive");
  if (options.statementTimeout.count() < 0 || options.statementTimeout.count() > INT32_MAX) {
    refuse("statementTimeout must be 0 (none) to 2147483647 ms");
  }
  if (!options.host.empty() && !options.unixSocket.empty()) refuse("give host or unixSocket, not both");
  if (!options.url.empty()) applyUrl(options);
  for (const std::string* text : {&options.host, &options.unixSocket, &options.user, &options.password,
                                  &options.database, &options.caFile, &options.certFile, &options.keyFile}) {
    if (text->find('\0') != std::string::npos) refuse("an option holds a NUL octet");
  }
  if (options.host.empty()) options.host = "localhost";
  if (options.port == 0) options.port = 3306;
  settleTls(options);
  return options;
}

std::string whereOf(const ConnectOptions& resolved) {
  if (!resolved.unixSocket.empty())
    return fmt::format("mysql at {}, database '{}'", resolved.unixSocket, resolved.database);
  return fmt::format("mysql at {}:{}/{}", resolved.host, resolved.port, resolved.database);
}

}  // namespace tidegate::mysql::detail
