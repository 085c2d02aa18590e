/// Writes an answer's status line and fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/http/message.h"

namespace tidegate::http::detail {

struct HeadShape {
  bool keepAlive = true;
  bool http10 = false;
  bool chunked = false;
  bool upgrade = false;                 ///< 101
  std::optional<std::size_t> length{};  ///< Content-Length, where there is one
  bool gzip = false;                    ///< the body was compressed here
  bool varies = false;                  ///< the body may be compressed or not, as the client says
  std::string_view date{};              ///< "Date: …\r\n"
  std::string_view own{};               ///< the server's fields, as lines
  std::string_view cors{};              ///< as lines
};

/// Appends the head to `out`. Fields of the answer that are the server's to write are left out.
/// @return false, and `out` as it was, where a field would break out of its line.
bool appendHead(const Response& response, const HeadShape& shape, std::string& out);

/// Whether a status has no body at all: 1xx, 204, 304.
constexpr bool bodiless(int status) noexcept { return status < 200 || status == 204 || status == 304; }

/// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", made anew once a second.
/// @thread One at a time.
class DateField {
 public:
  std::string_view now();

 private:
  std::int64_t second_ = -1;
  std::string text_{};
};

}  // namespace tidegate::http::detail
