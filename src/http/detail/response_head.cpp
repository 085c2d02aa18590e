#include "http/detail/response_head.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <ctime>

#include "http/detail/text.h"

namespace tidegate::http::detail {
namespace {

/// Fields that the server writes itself.
bool isServers(std::string_view name) noexcept {
  switch (name.size()) {
    case 4:
      return sameName(name, "date");
    case 10:
      return sameName(name, "connection") || sameName(name, "keep-alive");
    case 14:
      return sameName(name, "content-length");
    case 17:
      return sameName(name, "transfer-encoding");
    default:
      return name.size() > 15 && startsWithName(name, "access-control-");
  }
}

void appendDecimal(std::string& out, std::size_t number) {
  std::array<char, 20> digits;
  const auto [end, failure] = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  static_cast<void>(failure);
  out.append(digits.data(), end);
}

/// A strong tag names octets, and these are others (RFC 9110, section 8.8.1): the tag becomes a weak one.
void appendTag(std::string_view value, bool gzip, std::string& out) {
  if (gzip && value.starts_with('"')) out.append("W/");
  out.append(value);
}

bool appendFields(const Response& response, bool gzip, std::string& out) {
  for (const auto& [name, value] : response.headers) {
    if (isServers(name)) continue;
    if (!isToken(name) || !isFieldValue(value)) return false;
    out.append(name).append(": ");
    if (sameName(name, "etag")) {
      appendTag(value, gzip, out);
    } else {
      out.append(value);
    }
    out.append("\r\n");
  }
  return true;
}

}  // namespace

bool appendHead(const Response& response, const HeadShape& shape, std::string& out) {
  const std::size_t before = out.size();
  out.append("HTTP/1.1 ");
  appendDecimal(out, static_cast<std::size_t>(response.status));
  out.append(" ").append(reasonPhrase(response.status)).append("\r\n");
  if (!appendFields(response, shape.gzip, out)) {
    out.resize(before);
    return false;
  }
  out.append(shape.own).append(shape.date).append(shape.cors);
  if (shape.length && response.status >= 200 && response.status != 204) {
    out.append("Content-Length: ");
    appendDecimal(out, *shape.length);
    out.append("\r\n");
  }
  if (shape.chunked) out.append("Transfer-Encoding: chunked\r\n");
  if (shape.gzip) out.append("Content-Encoding: gzip\r\n");
  if (shape.varies) out.append("Vary: Accept-Encoding\r\n");
  if (shape.upgrade) {
    out.append("Connection: Upgrade\r\n");
  } else if (!shape.keepAlive) {
    out.append("Connection: close\r\n");
  } else if (shape.http10) {
    out.append("Connection: keep-alive\r\n");
  }
  out.append("\r\n");
  return true;
}

std::string_view DateField::now() {
  const std::time_t second = std::time(nullptr);
  if (second != second_) {
    second_ = second;
    std::tm parts{};
    gmtime_r(&second, &parts);
    // Not strftime: names of days and months are English whatever the locale.
    static constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto two = [](int n) {
      return std::string{static_cast<char>('0' + n / 10), static_cast<char>('0' + n % 10)};
    };
    text_ = "Date: ";
    text_.append(kDays[static_cast<std::size_t>(parts.tm_wday)]).append(", ").append(two(parts.tm_mday)).append(" ");
    text_.append(kMonths[static_cast<std::size_t>(parts.tm_mon)])
        .append(" ")
        .append(std::to_string(1900 + parts.tm_year));
    text_.append(" ").append(two(parts.tm_hour)).append(":").append(two(parts.tm_min)).append(":");
    text_.append(two(parts.tm_sec)).append(" GMT\r\n");
  }
  return text_;
}

}  // namespace tidegate::http::detail
