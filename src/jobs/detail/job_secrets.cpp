#include "jobs/detail/job_secrets.h"

#include <algorithm>
#include <string_view>

#include "jobs/detail/job_json.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace secrets_detail {

/// A shorter one would take half of every message away; servers do not repeat passwords, this is the second lock.
constexpr std::size_t kLeastBytes = 4;

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// As it is where a '%' is not followed by two digits: a driver refuses such a text, and its message may repeat it.
std::string decodedPart(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? hexDigit(text[i + 2]) : -1;
    if (low < 0) {
      out += text[i];
      continue;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

bool isSecretKey(std::string_view key) { return key == "password" || key == "sslpassword" || key == "passwd"; }

void addEncoded(std::string_view text, std::vector<std::string>& out) {
  out.emplace_back(text);
  out.push_back(decodedPart(text));
}

/// "user:secret@host/database?password=secret", what is behind "://".
void addUrl(std::string_view rest, std::vector<std::string>& out) {
  const std::size_t hostEnd = std::min(rest.size(), rest.find_first_of("/?#"));
  const std::size_t colon = rest.find(':');
  std::size_t sign = rest.substr(0, hostEnd).rfind('@');
  // A secret that was not percent-encoded may hold '/', '?' or '#'.
  if (sign == std::string_view::npos && colon < hostEnd) sign = rest.rfind('@');
  if (sign != std::string_view::npos && colon < sign) addEncoded(rest.substr(colon + 1, sign - colon - 1), out);
  for (std::size_t at = rest.find('?'); at != std::string_view::npos; at = rest.find('&', at + 1)) {
    const std::string_view pair = rest.substr(at + 1, rest.find_first_of("&#", at + 1) - at - 1);
    const std::size_t equals = pair.find('=');
    if (equals != std::string_view::npos && isSecretKey(pair.substr(0, equals))) {
      addEncoded(pair.substr(equals + 1), out);
    }
  }
}

/// libpq's "host=a password='it\'s'".
void addKeywords(std::string_view text, std::vector<std::string>& out) {
  const auto isBlank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
  std::size_t at = 0;
  const auto skipBlanks = [&] {
    while (at < text.size() && isBlank(text[at])) ++at;
  };
  while (at < text.size()) {
    skipBlanks();
    const std::size_t begin = at;
    while (at < text.size() && text[at] != '=' && !isBlank(text[at])) ++at;
    const std::string_view key = text.substr(begin, at - begin);
    skipBlanks();
    if (at >= text.size() || text[at] != '=') return;
    ++at;
    skipBlanks();
    const bool quoted = at < text.size() && text[at] == '\'';
    if (quoted) ++at;
    const std::size_t from = at;
    std::string value;
    while (at < text.size() && (quoted ? text[at] != '\'' : !isBlank(text[at]))) {
      if (text[at] == '\\' && at + 1 < text.size()) ++at;
      value += text[at++];
    }
    if (isSecretKey(key)) {
      out.emplace_back(text.substr(from, at - from));
      out.push_back(std::move(value));
    }
    if (quoted) ++at;
  }
}

void replaceAll(std::string& text, const std::string& secret) {
  for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + kHidden.size())) {
    text.replace(at, secret.size(), kHidden);
  }
}

}  // namespace secrets_detail

std::vector<std::string> secretsOf(const JobSource& source) {
  using namespace secrets_detail;
  std::vector<std::string> out{source.password};
  const std::size_t scheme = source.dsn.find("://");
  if (scheme == std::string::npos) {
    addKeywords(source.dsn, out);
  } else {
    addUrl(std::string_view(source.dsn).substr(scheme + 3), out);
  }
  std::sort(out.begin(), out.end(), [](const std::string& a, const std::string& b) {
    return a.size() != b.size() ? a.size() > b.size() : a < b;
  });
  out.erase(std::unique(out.begin(), out.end()), out.end());
  out.erase(std::remove_if(out.begin(), out.end(), [](const std::string& s) { return s.size() < kLeastBytes; }),
            out.end());
  return out;
}

std::string withoutSecrets(std::string_view message, const JobSource& source) {
  std::string text(message);
  // Before the patterns are looked for: they might take away a part of a secret and leave the rest.
  for (const std::string& secret : secretsOf(source)) secrets_detail::replaceAll(text, secret);
  return redactSecrets(text);
}

}  // namespace tidegate::detail
