/// Compression of answers (RFC 9110, section 12.5.3; RFC 1952).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tidegate/http/message.h"

namespace tidegate::http::detail {

/// Whether an Accept-Encoding takes gzip: named, or by "*", and not with q=0.
bool acceptsGzip(std::string_view acceptEncoding);

/// Whether an answer is text that may be compressed: its type says so, and nothing forbids it.
bool isCompressible(const Response& response);

/// nullopt where zlib has no memory, or the result would not be smaller.
std::optional<std::string> gzip(std::string_view body);

}  // namespace tidegate::http::detail
