#include "http/detail/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <limits>

#include "http/detail/text.h"

namespace tidegate::http::detail {
namespace {

constexpr int kLevel = 1;  // text shrinks to a quarter at five times the speed of the default level
constexpr int kGzipWindow = 15 + 16;

/// "q=0", "q=0.0" and the like.
bool isZeroQuality(std::string_view parameters) {
  const std::size_t at = parameters.find("q=");
  if (at == std::string_view::npos) return false;
  const std::string_view value = trimmed(parameters.substr(at + 2));
  return !value.empty() && value.find_first_not_of("0.") == std::string_view::npos;
}

}  // namespace

bool acceptsGzip(std::string_view acceptEncoding) {
  std::optional<bool> named;
  bool any = false;
  forEachElement(acceptEncoding, [&](std::string_view element) {
    const std::size_t semicolon = std::min(element.find(';'), element.size());
    const std::string_view coding = trimmed(element.substr(0, semicolon));
    const bool wanted = !isZeroQuality(element.substr(semicolon));
    if (sameName(coding, "gzip")) named = wanted;
    if (coding == "*") any = wanted;
  });
  return named.value_or(any);
}

bool isCompressible(const Response& response) {
  if (response.headers.has("content-encoding") || response.headers.has("content-range")) return false;
  if (listHas(response.headers.get("cache-control"), "no-transform")) return false;
  std::string_view type = response.headers.get("content-type");
  type = trimmed(type.substr(0, type.find(';')));
  static constexpr std::array<std::string_view, 4> kTexts = {"application/json", "application/javascript",
                                                             "application/xml", "image/svg+xml"};
  return startsWithName(type, "text/") || type.ends_with("+json") || type.ends_with("+xml") ||
         std::any_of(kTexts.begin(), kTexts.end(), [&](std::string_view text) { return sameName(type, text); });
}

std::optional<std::string> gzip(std::string_view body) {
  if (body.size() > std::numeric_limits<uInt>::max()) return std::nullopt;
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) return std::nullopt;
  std::string out(body.size(), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
  stream.avail_in = static_cast<uInt>(body.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  if (result != Z_STREAM_END) return std::nullopt;  // no room: not smaller
  return out;
}

}  // namespace tidegate::http::detail
