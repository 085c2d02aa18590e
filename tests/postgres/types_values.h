/// Random values of every Postgres type, as SQL literals, the odd ones more often than chance would have them.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <string>
#include <vector>

#include "support/property.h"

namespace tidegate::postgres::detail {

struct TypeUnderTest {
  std::string type;                                     ///< as declared
  std::function<std::string(test::Random&)> literal{};  ///< of a value that is not null, quoted
};

/// Made by `typesSetup`.
inline const std::vector<std::string>& typesSetup() {
  static const std::vector<std::string> kStatements{"CREATE TYPE mood AS ENUM ('sad', 'so so', 'glad')",
                                                    "CREATE TYPE pair AS (a integer, b text)",
                                                    "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
                                                    "CREATE DOMAIN more_positive AS positive",
                                                    "CREATE DOMAIN numbers AS integer[]",
                                                    "CREATE DOMAIN amount AS numeric(12,3)",
                                                    "CREATE DOMAIN moment AS timestamptz(3)"};
  return kStatements;
}

inline std::string oneOf(test::Random& r, const std::vector<std::string>& fixed, const std::string& random) {
  return r.chance(50) ? r.pick(fixed) : random;
}

inline std::string digits(test::Random& r, std::size_t most) {
  std::string out;
  for (std::size_t i = 1 + r.index(most); i > 0; --i) out += static_cast<char>('0' + r.below(10));
  return out;
}

inline std::string textLiteral(test::Random& r) {
  static const std::vector<std::string> kParts{"",  "a", "zoë", "🦉", " ",   "\\\\", "\"",    "''",      "{",    "}",
                                               ",", "(", ")",   "NULL", "\\n", "\\t",  "\\x01", "\\u2028", "tail "};
  std::string text;
  for (std::size_t i = r.index(6); i > 0; --i) text += r.pick(kParts);
  return "E'" + text + "'";
}

inline std::string hexLiteral(test::Random& r, std::size_t most) {
  std::string out = "'\\x";
  for (std::size_t i = r.index(most + 1); i > 0; --i) out += fmt::format("{:02x}", r.below(256));
  return out + "'";
}

inline std::string dateText(test::Random& r) {
  const bool before = r.chance(25);
  const std::int64_t year = before ? r.between(1, 4'712) : r.chance(20) ? r.between(1, 290'000) : r.between(1, 9'999);
  return fmt::format("{:04}-{:02}-{:02}{}", year, r.between(1, 12), r.between(1, 28), before ? " BC" : "");
}

inline std::string clockText(test::Random& r) {
  std::string clock = fmt::format("{:02}:{:02}:{:02}", r.below(24), r.below(60), r.below(60));
  if (r.chance(60)) clock += fmt::format(".{}", digits(r, 6));
  return clock;
}

inline std::string momentText(test::Random& r, const char* zone) {
  const std::string date = dateText(r);
  const bool before = date.ends_with(" BC");
  return date.substr(0, date.size() - (before ? 3 : 0)) + " " + clockText(r) + zone + (before ? " BC" : "");
}

inline std::string numericText(test::Random& r) {
  if (r.chance(20))
    return r.pick(std::vector<std::string>{"NaN", "Infinity", "-Infinity", "0", "-0.00", "0.000", "1e-30", "1e40",
                                           "10000", "9999.9999", "0.0001", "100000000"});
  std::string text = r.chance(40) ? "-" : "";
  text += digits(r, r.chance(20) ? 60 : 12);
  if (r.chance(60)) text += "." + digits(r, r.chance(20) ? 50 : 9);
  return text;
}

inline std::string floatText(test::Random& r, int precision) {
  static const std::vector<std::string> kOdd{
      "NaN",      "Infinity",      "-Infinity", "0",    "-0",   "0.1",        "1e-37",       "3.4028235e38",
      "16777217", "1.1754944e-38", "8.5e9",     "1e15", "1e16", "123456.789", "9.999999e22", "1e23"};
  if (r.chance(30)) return r.pick(kOdd);
  return fmt::format("{}{:.{}g}e{}", r.chance(50) ? "-" : "", 1.0 + static_cast<double>(r.below(1u << 30)) / (1u << 28),
                     precision, r.between(-30, 30));
}

inline std::string arrayLiteral(test::Random& r, const std::string& type,
                                const std::function<std::string(test::Random&)>& element) {
  if (r.chance(10)) return "'{}'";
  std::string out = "ARRAY[";
  const auto row = [&](std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i)
      text += (i > 0 ? "," : "") + (r.chance(20) ? std::string("NULL") : element(r));
    return text;
  };
  if (r.chance(70)) return out + row(1 + r.index(4)) + "]::" + type;
  const std::size_t width = 1 + r.index(3);
  for (std::size_t i = 1 + r.index(3); i > 0; --i) out += "[" + row(width) + "]" + (i > 1 ? "," : "");
  return out + "]::" + type;
}

std::vector<TypeUnderTest> typesUnderTest();

}  // namespace tidegate::postgres::detail
