#include "kinesis/detail/sigv4.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <stdexcept>

#include "core/detail/octet_text.h"

namespace tidegate::kinesis::detail {
namespace {

using Digest = std::array<unsigned char, 32>;

const EVP_MD* sha256Method() {
  static EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return fetched;
}

std::string toHex(const Digest& digest) {
  return tidegate::detail::hexOf({reinterpret_cast<const char*>(digest.data()), digest.size()});
}

Digest hmacSha256(std::string_view key, std::string_view text) {
  Digest out{};
  unsigned length = 0;
  if (HMAC(sha256Method(), key.data(), static_cast<int>(key.size()),
           reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.data(), &length) == nullptr) {
    throw std::bad_alloc();
  }
  return out;
}

std::string_view octetsOf(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// Outer blanks go, and inner runs of them become one.
std::string trimmedValue(std::string_view value) {
  std::string out;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t';
    if (!blank)
      out.push_back(c);
    else if (!out.empty() && out.back() != ' ')
      out.push_back(' ');
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

std::string lowered(std::string_view name) {
  std::string out(name);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return out;
}

/// Sorted by name; the values of a repeated name stand in their order, joined by commas.
std::vector<std::pair<std::string, std::string>> canonicalHeaders(const http::Headers& headers) {
  std::vector<std::pair<std::string, std::string>> sorted;
  for (const auto& [name, value] : headers) sorted.emplace_back(lowered(name), trimmedValue(value));
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::pair<std::string, std::string>> out;
  for (auto& field : sorted) {
    if (!out.empty() && out.back().first == field.first)
      out.back().second += "," + field.second;
    else
      out.push_back(std::move(field));
  }
  return out;
}

std::string signedNames(const http::Headers& headers) {
  std::string names;
  for (const auto& [name, value] : canonicalHeaders(headers)) {
    if (!names.empty()) names.push_back(';');
    names += name;
  }
  return names;
}

std::string scopeText(const SigningScope& scope, std::string_view date) {
  return fmt::format("{}/{}/{}/aws4_request", date.substr(0, 8), scope.region, scope.service);
}

}  // namespace

std::string sha256Hex(std::string_view octets) {
  Digest out{};
  if (EVP_Digest(octets.data(), octets.size(), out.data(), nullptr, sha256Method(), nullptr) != 1) {
    throw std::bad_alloc();
  }
  return toHex(out);
}

std::string uriEncode(std::string_view text, bool keepSlash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~' || (keepSlash && c == '/');
    if (plain) {
      out.push_back(c);
    } else {
      out.push_back('%');
      out.push_back(kDigits[octet >> 4]);
      out.push_back(kDigits[octet & 15]);
    }
  }
  return out;
}

std::string canonicalQuery(const QueryParameters& query) {
  std::vector<std::pair<std::string, std::string>> sorted;
  for (const auto& [name, value] : query) sorted.emplace_back(uriEncode(name), uriEncode(value));
  std::sort(sorted.begin(), sorted.end());
  std::string out;
  for (const auto& [name, value] : sorted) {
    if (!out.empty()) out.push_back('&');
    out += name + "=" + value;
  }
  return out;
}

std::string amzDate(std::int64_t unixSeconds) {
  const std::time_t seconds = unixSeconds;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}{:02}{:02}T{:02}{:02}{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string canonicalRequest(const Signable& request) {
  std::string out = request.method + "\n" + request.canonicalPath + "\n" + canonicalQuery(request.query) + "\n";
  for (const auto& [name, value] : canonicalHeaders(request.headers)) out += name + ":" + value + "\n";
  return out + "\n" + signedNames(request.headers) + "\n" + request.payloadHash;
}

std::string stringToSign(const Signable& request, const SigningScope& scope, std::string_view date) {
  return fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", date, scopeText(scope, date),
                     sha256Hex(canonicalRequest(request)));
}

std::string authorization(const Signable& request, const SigningScope& scope, const Credentials& credentials,
                          std::string_view date) {
  const Digest day = hmacSha256("AWS4" + credentials.secretAccessKey, date.substr(0, 8));
  const Digest region = hmacSha256(octetsOf(day), scope.region);
  const Digest service = hmacSha256(octetsOf(region), scope.service);
  const Digest key = hmacSha256(octetsOf(service), "aws4_request");
  const Digest signature = hmacSha256(octetsOf(key), stringToSign(request, scope, date));
  return fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}", credentials.accessKeyId,
                     scopeText(scope, date), signedNames(request.headers), toHex(signature));
}

}  // namespace tidegate::kinesis::detail
