/// Random cells for property tests: every kind, with the awkward cases over-represented.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "support/property.h"
#include "tidegate/core/value.h"

namespace tidegate::test {

/// Text of up to `maxLength` characters: ASCII, quotes, control characters and characters of 2 to 4 octets.
inline std::string randomText(Random& random, std::size_t maxLength = 24) {
  static const std::string kAwkward[] = {"\"", "\\", "\n", std::string(1, '\0'), "\x1f", "\x7f", "'",
                                         "é",  "日", "😀",  "\xEE\x80\x80"};
  std::string text;
  for (std::size_t n = random.index(maxLength + 1); n > 0; --n) {
    if (random.chance(15))
      text += random.pick(kAwkward);
    else
      text.push_back(static_cast<char>(random.between(' ', '~')));
  }
  return text;
}

inline double randomDouble(Random& random) {
  using Limits = std::numeric_limits<double>;
  static const double kAwkward[] = {0.0,
                                    -0.0,
                                    Limits::quiet_NaN(),
                                    Limits::infinity(),
                                    -Limits::infinity(),
                                    5e-324,
                                    Limits::max(),
                                    1e21,
                                    1e-7,
                                    9007199254740992.0,
                                    0.1,
                                    -1.5};
  if (random.chance(30)) return random.pick(kAwkward);
  if (random.chance(50)) return static_cast<double>(random.between(-1000, 1000)) / 8;
  return std::ldexp(static_cast<double>(random.between(-1'000'000'000, 1'000'000'000)),
                    static_cast<int>(random.between(-300, 300)));
}

inline std::int64_t randomInt64(Random& random) {
  static const std::int64_t kAwkward[] = {INT64_MIN, INT64_MAX, 0, -1, 9007199254740993, -9007199254740993};
  if (random.chance(20)) return random.pick(kAwkward);
  if (random.chance(50)) return random.between(-100, 100);
  return static_cast<std::int64_t>(random.bits());
}

inline std::string randomDecimal(Random& random) {
  std::string text = random.chance(40) ? "-" : "";
  for (std::size_t n = 1 + random.index(random.chance(10) ? 200 : 6); n > 0; --n) {
    text.push_back(static_cast<char>('0' + random.below(10)));
  }
  if (random.chance(50)) return text;
  text.push_back('.');
  for (std::size_t n = 1 + random.index(6); n > 0; --n) text.push_back(static_cast<char>('0' + random.below(10)));
  return text;
}

inline Value randomValue(Random& random) {
  switch (static_cast<ValueKind>(random.below(13))) {
    case ValueKind::null:
      return Null{};
    case ValueKind::boolean:
      return random.chance(50);
    case ValueKind::int64:
      return randomInt64(random);
    case ValueKind::uint64:
      return random.bits();
    case ValueKind::real:
      return randomDouble(random);
    case ValueKind::decimal:
      return Decimal{randomDecimal(random)};
    case ValueKind::text:
      return randomText(random);
    case ValueKind::bytes: {
      Bytes bytes;
      for (std::size_t n = random.index(9); n > 0; --n) bytes.octets.push_back(static_cast<char>(random.below(256)));
      return bytes;
    }
    case ValueKind::date:
      return Date{static_cast<std::int32_t>(random.between(-4'000'000, 4'000'000))};
    case ValueKind::time:
      return Time{random.between(-3'020'399'000'000, 3'020'399'000'000)};
    case ValueKind::timestamp:
      return Timestamp{random.between(-60'000'000'000'000'000, 60'000'000'000'000'000), random.chance(50)};
    case ValueKind::uuid: {
      Uuid uuid;
      for (auto& octet : uuid.octets) octet = static_cast<std::uint8_t>(random.below(256));
      return uuid;
    }
    case ValueKind::json: {
      static const char* const kDocuments[] = {"{}",
                                               "[]",
                                               "{\"a\": 1, \"b\": [true, null]}",
                                               "{\"b\":[true,null],\"a\":1.0}",
                                               "[1, 2.50, \"x\"]",
                                               "[12345678901234567890123]"};
      return Json{random.pick(kDocuments)};
    }
  }
  return Null{};
}

}  // namespace tidegate::test
