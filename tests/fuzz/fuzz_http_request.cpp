// What a server reads from a connection, up to the request that a handler would get. The first octet says how the rest
// is cut into reads; however it is cut, what is read is the same.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/check.h"
#include "http/detail/request_reader.h"
#include "http/detail/target.h"
#include "http/detail/text.h"

namespace {

using tidegate::http::Limits;
using tidegate::http::Request;
using tidegate::http::detail::RequestReader;

const Limits kLimits{.headerBytes = 1024, .targetBytes = 256, .bodyBytes = 512};

bool isHarmless(const std::string& path) {
  if (path == "*") return true;
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) return false;
  const auto segments = tidegate::http::detail::splitPath(path);
  return std::none_of(segments.begin(), segments.end(), [](std::string_view s) { return s == "." || s == ".."; });
}

void checkRequest(const Request& request) {
  FUZZ_CHECK(tidegate::http::detail::isToken(request.method));  // the method is a token
  FUZZ_CHECK(isHarmless(request.path));                         // the path is decoded and harmless
  FUZZ_CHECK(request.target.size() <= kLimits.targetBytes);     // the target is within its limit
  FUZZ_CHECK(request.body.size() <= kLimits.bodyBytes);         // the body is within its limit
  std::size_t octets = 0;
  for (const auto& [name, value] : request.headers) {
    FUZZ_CHECK(tidegate::http::detail::isToken(name));        // a field's name is a token
    FUZZ_CHECK(tidegate::http::detail::isFieldValue(value));  // a field's value stays in its line
    octets += name.size() + value.size();
  }
  FUZZ_CHECK(octets <= kLimits.headerBytes);  // the fields are within their limit
  const bool both = request.headers.has("content-length") && request.headers.has("transfer-encoding");
  FUZZ_CHECK(!both);  // a body has one length
}

std::string textOf(const Request& request) {
  std::string out = request.method + " " + request.target + " " + request.path + "?" + request.query + "\n";
  for (const auto& [name, value] : request.headers) out += name + ":" + value + "\n";
  return out + request.body;
}

/// Reads requests as a connection does. @return what was read, and how it ended.
std::vector<std::string> readAll(std::string_view text, std::size_t pieces) {
  RequestReader reader(kLimits);
  std::vector<std::string> out;
  std::string held;
  while (true) {
    const std::size_t used = reader.feed(held);
    FUZZ_CHECK(used <= held.size());  // no more is used than was given
    held.erase(0, used);
    reader.takeContinue();
    if (reader.state() == RequestReader::State::done) {
      checkRequest(reader.request());
      out.push_back(textOf(reader.request()) + (reader.keepAlive() ? "+" : "-"));
      reader.next();
      continue;
    }
    if (reader.state() == RequestReader::State::refused) {
      FUZZ_CHECK(reader.refusalStatus() >= 400 && !reader.refusal().empty());  // a refusal says why
      out.push_back(std::to_string(reader.refusalStatus()));
      return out;
    }
    FUZZ_CHECK(held.size() <= kLimits.headerBytes);  // what waits for its end is bounded
    if (text.empty()) return out;
    const std::size_t size = std::min(text.size(), pieces);
    held.append(text.substr(0, size));
    text.remove_prefix(size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto cut = readAll(text, 1 + data[0] % 64);
  FUZZ_CHECK(cut == readAll(text, 1));  // octet by octet it reads the same
  return 0;
}
