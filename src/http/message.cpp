#include "tidegate/http/message.h"

#include <algorithm>
#include <array>

#include "core/detail/utf8.h"
#include "http/detail/text.h"
#include "tidegate/core/error.h"

namespace tidegate::http {

using detail::hexDigit;
using detail::sameName;

void Headers::add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }

void Headers::set(std::string_view name, std::string value) {
  const auto first =
      std::find_if(fields_.begin(), fields_.end(), [&](const Field& field) { return sameName(field.first, name); });
  if (first == fields_.end()) {
    fields_.emplace_back(std::string(name), std::move(value));
    return;
  }
  first->second = std::move(value);
  fields_.erase(
      std::remove_if(first + 1, fields_.end(), [&](const Field& field) { return sameName(field.first, name); }),
      fields_.end());
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const Field& field) { return sameName(field.first, name); });
}

const std::string* Headers::find(std::string_view name) const noexcept {
  for (const Field& field : fields_) {
    if (sameName(field.first, name)) return &field.second;
  }
  return nullptr;
}

std::string_view Headers::get(std::string_view name) const noexcept {
  const std::string* value = find(name);
  return value ? std::string_view(*value) : std::string_view();
}

std::optional<std::string> percentDecode(std::string_view text, bool plusIsSpace) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = hexDigit(text[i + 1]);
      const int low = hexDigit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(plusIsSpace && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return out;
}

std::string percentEncode(std::string_view text, std::string_view keep) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (letter || c == '-' || c == '.' || c == '_' || c == '~' || keep.find(c) != std::string_view::npos) {
      out.push_back(c);
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out.append({'%', kDigits[octet >> 4], kDigits[octet & 15]});
    }
  }
  return out;
}

namespace {

std::string decodedOrSame(std::string_view text) {
  auto decoded = percentDecode(text, true);
  return decoded ? *std::move(decoded) : std::string(text);
}

/// Calls `each(name, value)`, both still encoded, until it says false.
template <class Each>
void forEachParameter(std::string_view query, Each&& each) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(std::min(query.size(), end + 1));
    if (one.empty()) continue;
    const std::size_t equals = std::min(one.find('='), one.size());
    if (!each(one.substr(0, equals), one.substr(std::min(one.size(), equals + 1)))) return;
  }
}

}  // namespace

std::vector<std::pair<std::string, std::string>> queryParameters(std::string_view query) {
  std::vector<std::pair<std::string, std::string>> out;
  forEachParameter(query, [&](std::string_view name, std::string_view value) {
    out.emplace_back(decodedOrSame(name), decodedOrSame(value));
    return true;
  });
  return out;
}

std::optional<std::string> queryParameter(std::string_view query, std::string_view name) {
  std::optional<std::string> found;
  forEachParameter(query, [&](std::string_view key, std::string_view value) {
    const bool encoded = key.find_first_of("%+") != std::string_view::npos;
    if (encoded ? decodedOrSame(key) != name : key != name) return true;
    found = decodedOrSame(value);
    return false;
  });
  return found;
}

namespace {

struct Phrase {
  int status;
  std::string_view text;
};
constexpr std::array<Phrase, 45> kPhrases = {{{100, "Continue"},
                                              {101, "Switching Protocols"},
                                              {200, "OK"},
                                              {201, "Created"},
                                              {202, "Accepted"},
                                              {203, "Non-Authoritative Information"},
                                              {204, "No Content"},
                                              {205, "Reset Content"},
                                              {206, "Partial Content"},
                                              {300, "Multiple Choices"},
                                              {301, "Moved Permanently"},
                                              {302, "Found"},
                                              {303, "See Other"},
                                              {304, "Not Modified"},
                                              {307, "Temporary Redirect"},
                                              {308, "Permanent Redirect"},
                                              {400, "Bad Request"},
                                              {401, "Unauthorized"},
                                              {402, "Payment Required"},
                                              {403, "Forbidden"},
                                              {404, "Not Found"},
                                              {405, "Method Not Allowed"},
                                              {406, "Not Acceptable"},
                                              {407, "Proxy Authentication Required"},
                                              {408, "Request Timeout"},
                                              {409, "Conflict"},
                                              {410, "Gone"},
                                              {411, "Length Required"},
                                              {412, "Precondition Failed"},
                                              {413, "Content Too Large"},
                                              {414, "URI Too Long"},
                                              {415, "Unsupported Media Type"},
                                              {416, "Range Not Satisfiable"},
                                              {417, "Expectation Failed"},
                                              {421, "Misdirected Request"},
                                              {422, "Unprocessable Content"},
                                              {425, "Too Early"},
                                              {428, "Precondition Required"},
                                              {429, "Too Many Requests"},
                                              {431, "Request Header Fields Too Large"},
                                              {500, "Internal Server Error"},
                                              {501, "Not Implemented"},
                                              {502, "Bad Gateway"},
                                              {503, "Service Unavailable"},
                                              {504, "Gateway Timeout"}}};

}  // namespace

std::string_view reasonPhrase(int status) noexcept {
  const auto* at = std::lower_bound(kPhrases.begin(), kPhrases.end(), status,
                                    [](const Phrase& phrase, int wanted) { return phrase.status < wanted; });
  if (at != kPhrases.end() && at->status == status) return at->text;
  return status == 505 ? "HTTP Version Not Supported" : std::string_view();
}

namespace {

/// As a JSON string. What is not UTF-8 becomes U+FFFD: the text may come from outside.
void appendJsonText(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.push_back('"');
  while (!text.empty()) {
    const std::size_t length = tidegate::detail::utf8Length(text);
    const char c = text.front();
    if (length == 0) {
      out.append("\xEF\xBF\xBD");
    } else if (c == '"' || c == '\\') {
      out.append({'\\', c});
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out.append({'\\', 'u', '0', '0', c < 0x10 ? '0' : '1', kDigits[static_cast<unsigned char>(c) & 15]});
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  out.push_back('"');
}

}  // namespace

Response problem(int status, std::string_view detail) {
  std::string_view title = reasonPhrase(status);
  if (title.empty()) title = "Error";
  Response response{.status = status, .headers = {{"content-type", "application/problem+json"}}};
  response.body = R"({"type":"about:blank","title":)";
  appendJsonText(response.body, title);
  response.body += ",\"status\":" + std::to_string(status);
  if (!detail.empty()) {
    response.body += ",\"detail\":";
    appendJsonText(response.body, redactSecrets(detail));
  }
  response.body += '}';
  return response;
}

}  // namespace tidegate::http
