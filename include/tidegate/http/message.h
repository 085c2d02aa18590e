/// What HTTP requests and answers are made of, for `http::Server` and `http::Client` alike.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tidegate::http {

/// Header fields in the order they came. Names compare without regard to case (RFC 9110, section 5.1).
/// @thread A value type.
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  /// Appends a field, also where one of its name is there already.
  void add(std::string name, std::string value);
  /// Replaces all fields of that name by one.
  void set(std::string_view name, std::string value);
  void remove(std::string_view name);
  /// The first field's value, or null. Holds until the next change.
  const std::string* find(std::string_view name) const noexcept;
  /// The first field's value, or an empty text.
  std::string_view get(std::string_view name) const noexcept;
  bool has(std::string_view name) const noexcept { return find(name) != nullptr; }

  auto begin() const noexcept { return fields_.begin(); }
  auto end() const noexcept { return fields_.end(); }
  std::size_t size() const noexcept { return fields_.size(); }
  bool empty() const noexcept { return fields_.empty(); }
  void clear() noexcept { fields_.clear(); }

 private:
  std::vector<Field> fields_;
};

/// A request as a server received it, whole.
struct Request {
  std::string method;  ///< upper case, e.g. "GET"
  std::string target;  ///< as sent: path and query, percent-encoded
  std::string path;    ///< decoded; begins with '/'; dot segments and NUL are refused before a handler sees them
  std::string query;   ///< what follows '?', still encoded; see `queryParameter`
  Headers headers;
  std::string body;           ///< decoded from chunks; at most `Limits::bodyBytes`
  std::string remoteAddress;  ///< numeric
  bool tls = false;
};

/// An answer, whole.
struct Response {
  int status = 200;
  Headers headers{};
  std::string body{};
};

/// Percent-decodes; '+' stays unless `plusIsSpace`. nullopt where a '%' is not followed by two hexadecimal digits.
std::optional<std::string> percentDecode(std::string_view text, bool plusIsSpace = false);
/// Percent-encodes all but RFC 3986's unreserved characters and those of `keep`.
std::string percentEncode(std::string_view text, std::string_view keep = {});
/// All parameters of a query, decoded, in order. A malformed escape stays as it is.
std::vector<std::pair<std::string, std::string>> queryParameters(std::string_view query);
/// The first parameter of that name, decoded; nullopt where there is none ("" where it has no value).
std::optional<std::string> queryParameter(std::string_view query, std::string_view name);

/// What stands for one peer where something is bounded by address: an IPv4 address (also one that IPv6 carries), or the
/// first 64 bits of an IPv6 address, which is what one customer gets. Octets, not for people; a text that is no numeric
/// address stands for itself.
std::string addressGroup(std::string_view address);

/// "Not Found" for 404; "" for an unknown number.
std::string_view reasonPhrase(int status) noexcept;

/// An RFC 9457 answer: `{"type":"about:blank","title":…,"status":…,"detail":…}` as application/problem+json.
/// `detail` passes through `redactSecrets`.
Response problem(int status, std::string_view detail);

}  // namespace tidegate::http
