#include "postgres/detail/encode.h"

#include <fmt/format.h>

#include <cmath>

#include "core/detail/sql_time.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

using tidegate::detail::kMicrosPerDay;
using tidegate::detail::kMicrosPerSecond;

struct Encoder {
  std::string operator()(Null) const { return {}; }
  std::string operator()(bool v) const { return v ? "t" : "f"; }
  std::string operator()(std::int64_t v) const { return fmt::to_string(v); }
  std::string operator()(std::uint64_t v) const { return fmt::to_string(v); }
  std::string operator()(double v) const {
    if (std::isnan(v)) return "NaN";
    if (std::isinf(v)) return v > 0 ? "Infinity" : "-Infinity";
    return fmt::format("{}", v);
  }
  std::string operator()(const Decimal& v) const { return v.text; }
  std::string operator()(const std::string& v) const { return v; }
  std::string operator()(const Json& v) const { return v.text; }
  std::string operator()(const Uuid& v) const { return toIso(v); }
  std::string operator()(Time v) const { return toIso(v); }
  std::string operator()(const Bytes& v) const {
    std::string text = "\\x";
    text.reserve(2 + 2 * v.octets.size());
    for (const char c : v.octets) fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(c));
    return text;
  }
  std::string operator()(Date v) const {
    if (v.days == Date::kInfinity) return "infinity";
    if (v.days == Date::kMinusInfinity) return "-infinity";
    return dated(v.days, {});
  }
  std::string operator()(Timestamp v) const {
    if (v.micros == Timestamp::kInfinity) return "infinity";
    if (v.micros == Timestamp::kMinusInfinity) return "-infinity";
    std::int64_t days = v.micros / kMicrosPerDay, rest = v.micros % kMicrosPerDay;
    if (rest < 0) {
      rest += kMicrosPerDay;
      --days;
    }
    const std::int64_t seconds = rest / kMicrosPerSecond;
    return dated(days, fmt::format(" {:02}:{:02}:{:02}.{:06}{}", seconds / 3600, seconds / 60 % 60, seconds % 60,
                                   rest % kMicrosPerSecond, v.hasZone ? "+00" : ""));
  }

 private:
  /// "YYYY-MM-DD" + clock, with " BC" where the server wants it instead of a year 0 or less.
  static std::string dated(std::int64_t days, const std::string& clock) {
    const auto date = tidegate::detail::civilFromDays(days);
    const bool beforeChrist = date.year <= 0;
    return fmt::format("{:04}-{:02}-{:02}{}{}", beforeChrist ? 1 - date.year : date.year, date.month, date.day, clock,
                       beforeChrist ? " BC" : "");
  }
};

}  // namespace

EncodedParams encodeParams(const std::vector<Value>& params) {
  EncodedParams out;
  out.texts.reserve(params.size());
  for (const Value& v : params) {
    out.texts.push_back(std::visit(Encoder{}, v.variant()));
    if (out.texts.back().find('\0') != std::string::npos) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  fmt::format("parameter ${} holds a NUL octet, which no Postgres text can: {}", out.texts.size(),
                              redactSecrets(describe(v))));
    }
  }
  for (std::size_t i = 0; i < params.size(); ++i) {
    out.pointers.push_back(params[i].isNull() ? nullptr : out.texts[i].c_str());
  }
  return out;
}

}  // namespace tidegate::postgres::detail
