#include "mysql/detail/params.h"

#include <cppconn/datatype.h>
#include <cppconn/prepared_statement.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

[[noreturn]] void refuse(unsigned index, const Value& v) {
  throw Error(ErrorCode::invalidArgument, Retry::never,
              fmt::format("parameter {} is {}, which MySQL and MariaDB do not know", index, describe(v)));
}

struct Binder {
  sql::PreparedStatement& to;
  unsigned index;
  const Value& value;

  void operator()(Null) const { to.setNull(index, sql::DataType::VARCHAR); }
  void operator()(bool v) const { to.setInt64(index, v ? 1 : 0); }
  void operator()(std::int64_t v) const { to.setInt64(index, v); }
  void operator()(std::uint64_t v) const { to.setUInt64(index, v); }
  void operator()(double v) const {
    if (!std::isfinite(v)) refuse(index, value);
    to.setDouble(index, v);
  }
  void operator()(const Decimal& v) const {
    if (v.text.find_first_of("NI") != std::string::npos) refuse(index, value);  // NaN, ±Infinity
    to.setString(index, v.text);
  }
  void operator()(const std::string& v) const { to.setString(index, v); }
  void operator()(const Json& v) const { to.setString(index, v.text); }
  void operator()(const Uuid& v) const { to.setString(index, toIso(v)); }
  void operator()(Time v) const { to.setString(index, toIso(v)); }
  void operator()(const Bytes& v) const {
    std::string hex;
    hex.reserve(2 * v.octets.size());
    for (const char c : v.octets) fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(c));
    to.setString(index, hex);
  }
  void operator()(Date v) const {
    if (v.days == Date::kInfinity || v.days == Date::kMinusInfinity) refuse(index, value);
    to.setString(index, toIso(v));
  }
  /// With a zone it is UTC, which the session's time zone is too.
  void operator()(Timestamp v) const {
    if (v.micros == Timestamp::kInfinity || v.micros == Timestamp::kMinusInfinity) refuse(index, value);
    v.hasZone = false;
    std::string text = toIso(v);
    std::replace(text.begin(), text.end(), 'T', ' ');
    to.setString(index, text);
  }
};

}  // namespace

std::string parameterExpression(const Value& v) {
  if (v.kind() == ValueKind::bytes) return "UNHEX(?)";
  const auto* decimal = v.getIf<Decimal>();
  if (decimal == nullptr) return "?";
  // As text it would be compared as a double.
  const auto point = decimal->text.find('.');
  const std::size_t scale = point == std::string::npos ? 0 : decimal->text.size() - point - 1;
  return fmt::format("CAST(? AS DECIMAL(65,{}))", std::min<std::size_t>(scale, 30));
}

void bindParameter(sql::PreparedStatement& statement, unsigned oneBasedIndex, const Value& v) {
  std::visit(Binder{statement, oneBasedIndex, v}, v.variant());
}

}  // namespace tidegate::mysql::detail
