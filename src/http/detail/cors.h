/// Cross-origin rules (WHATWG Fetch, section 3.2), worked out once when the server is made.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tidegate/http/server.h"

namespace tidegate::http::detail {

/// @thread Immutable: any.
class CorsRules {
 public:
  /// @throws Error{invalidConfig} for an origin that is none.
  explicit CorsRules(const Cors& cors);
  bool open() const noexcept { return any_ || !origins_.empty(); }
  /// The fields for an answer to this request, as lines.
  std::string_view fieldsFor(const Request& request) const;
  /// Whether a page of the request's origin may open a WebSocket: browsers ask nobody before. Its own origin may.
  bool mayUpgrade(const Request& request) const;
  /// The answer to a preflight; nullopt for any other request.
  std::optional<Response> preflight(const Request& request) const;
  /// The lines that only a preflight's answer has.
  std::string preflightFields(const Request& request) const;

 private:
  struct Origin {
    std::string name;
    std::string fields;
  };
  const Origin* find(std::string_view origin) const noexcept;

  bool any_ = false;
  std::string anyFields_{};
  std::vector<Origin> origins_{};
  std::string otherFields_{};  ///< for an origin that is not allowed
  std::string methods_{};
  std::string requestHeaders_{};
  std::string maxAge_{};
};

}  // namespace tidegate::http::detail
