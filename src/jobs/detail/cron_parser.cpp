#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/detail/cron_fields.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace cron_parser {

constexpr std::array<std::string_view, 12> kMonths{"JAN", "FEB", "MAR", "APR", "MAY", "JUN",
                                                   "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"};
constexpr std::array<std::string_view, 7> kWeekdays{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kMacros{{{"@yearly", "0 0 1 1 *"},
                                                                                {"@annually", "0 0 1 1 *"},
                                                                                {"@monthly", "0 0 1 * *"},
                                                                                {"@weekly", "0 0 * * 0"},
                                                                                {"@daily", "0 0 * * *"},
                                                                                {"@midnight", "0 0 * * *"},
                                                                                {"@hourly", "0 * * * *"}}};

/// No schedule is longer; one from outside must not cost much to refuse.
constexpr std::size_t kMostBytes = 512;

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; }

std::string upperText(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), upper);
  return out;
}

struct Field {
  std::string_view name;
  int low, high;
  const std::string_view* names = nullptr;
  std::size_t nameCount = 0;
};

constexpr Field kSecond{"second", 0, 59}, kMinute{"minute", 0, 59}, kHour{"hour", 0, 23}, kDay{"day-of-month", 1, 31},
    kMonth{"month", 1, 12, kMonths.data(), kMonths.size()},
    kWeekday{"day-of-week", 0, 7, kWeekdays.data(), kWeekdays.size()};

class FieldParser {
 public:
  FieldParser(std::string_view whole, const Field& field, std::string_view text)
      : whole_(whole), field_(field), text_(text) {}

  [[noreturn]] void fail(std::string_view item, const std::string& why) const {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("cron \"{}\": {} \"{}\" {}", whole_, field_.name, item, why));
  }

  std::vector<std::string> items() const {
    std::vector<std::string> out;
    std::size_t from = 0;
    for (;;) {
      const std::size_t comma = text_.find(',', from);
      out.push_back(upperText(text_.substr(from, comma - from)));
      if (out.back().empty()) fail(text_, "has an empty part: remove a comma");
      if (comma == std::string_view::npos) return out;
      from = comma + 1;
    }
  }

  int value(std::string_view item, std::string_view text) const {
    for (std::size_t i = 0; i < field_.nameCount; ++i) {
      if (text == field_.names[i]) return static_cast<int>(i) + field_.low;
    }
    const int number = plainNumber(text);
    if (number < field_.low || number > field_.high) {
      fail(item, fmt::format("is not {} to {}{}", field_.low, field_.high,
                             field_.nameCount > 0
                                 ? fmt::format(", or {} to {}", field_.names[0], field_.names[field_.nameCount - 1])
                                 : ""));
    }
    return number;
  }

  /// @return -1 for anything but up to four digits.
  static int plainNumber(std::string_view text) {
    if (text.empty() || text.size() > 4) return -1;
    int number = 0;
    for (const char c : text) {
      if (c < '0' || c > '9') return -1;
      number = number * 10 + (c - '0');
    }
    return number;
  }

  /// `*`, a, a-b, each with an optional /step.
  std::uint64_t set(const std::string& item) const {
    std::string_view base = item;
    int step = 1;
    const std::size_t slash = item.find('/');
    if (slash != std::string::npos) {
      base = std::string_view(item).substr(0, slash);
      step = plainNumber(std::string_view(item).substr(slash + 1));
      if (step < 1 || step > field_.high) fail(item, fmt::format("needs a step from 1 to {}", field_.high));
    }
    int low = field_.low, high = field_.high;
    // Sunday is 0 and 7: a star is each day once.
    if (field_.name == kWeekday.name) high = 6;
    const std::size_t dash = base.find('-');
    if (base == "*") {
    } else if (dash != std::string_view::npos) {
      low = value(item, base.substr(0, dash));
      high = value(item, base.substr(dash + 1));
      if (low > high) fail(item, "ends before it begins: write two ranges");
    } else {
      low = value(item, base);
      if (slash == std::string::npos) high = low;
      high = std::max(low, high);
    }
    std::uint64_t bits = 0;
    for (int i = low; i <= high; i += step) bits |= std::uint64_t{1} << i;
    return bits;
  }

  std::uint64_t sets() const {
    std::uint64_t bits = 0;
    for (const std::string& item : items()) bits |= set(item);
    return bits;
  }

 private:
  std::string_view whole_;
  const Field& field_;
  std::string_view text_;
};

void parseDays(std::string_view whole, std::string_view text, CronFields& out) {
  const FieldParser field(whole, kDay, text);
  out.anyDay = text.front() == '*' || text == "?";
  if (text == "?") {
    out.days = 0xFFFFFFFE;
    return;
  }
  for (const std::string& item : field.items()) {
    if (item == "L") {
      out.fromLast |= 1;
    } else if (item.starts_with("L-")) {
      const int back = FieldParser::plainNumber(std::string_view(item).substr(2));
      if (back < 1 || back > 30) field.fail(item, "must be L-1 to L-30");
      out.fromLast |= 1u << back;
    } else if (item.ends_with("W")) {
      field.fail(item, "is not known: W (the nearest working day) is not supported, name the days");
    } else {
      out.days |= static_cast<std::uint32_t>(field.set(item));
    }
  }
}

void parseWeekdays(std::string_view whole, std::string_view text, CronFields& out) {
  const FieldParser field(whole, kWeekday, text);
  out.anyWeekday = text.front() == '*' || text == "?";
  if (text == "?") {
    out.weekdays = 0x7F;
    return;
  }
  const auto bit = [&](const std::string& item, std::string_view day) {
    return static_cast<std::uint8_t>(1u << (field.value(item, day) % 7));
  };
  for (const std::string& item : field.items()) {
    const std::size_t hash = item.find('#');
    if (item == "L") {
      out.weekdays |= 1u << 6;  // the week's last day
    } else if (hash != std::string::npos) {
      const int n = FieldParser::plainNumber(std::string_view(item).substr(hash + 1));
      if (n < 1 || n > 5) field.fail(item, "needs a number from 1 to 5 after #");
      out.nth[static_cast<std::size_t>(n)] |= bit(item, std::string_view(item).substr(0, hash));
    } else if (item.size() > 1 && item.back() == 'L') {
      out.lastWeekdays |= bit(item, std::string_view(item).substr(0, item.size() - 1));
    } else {
      const std::uint64_t bits = field.set(item);
      out.weekdays |= static_cast<std::uint8_t>((bits | bits >> 7) & 0x7F);
    }
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t from = text.find_first_not_of(" \t", at);
    if (from == std::string_view::npos) break;
    at = std::min(text.find_first_of(" \t", from), text.size());
    out.push_back(text.substr(from, at - from));
  }
  return out;
}

std::string_view expanded(std::string_view text) {
  for (const auto& [name, meaning] : kMacros) {
    if (upperText(text) == upperText(name)) return meaning;
  }
  throw Error(
      ErrorCode::invalidConfig, Retry::never,
      fmt::format("cron \"{}\" is no known macro: use @yearly, @monthly, @weekly, @daily or @hourly, or fields", text));
}

}  // namespace cron_parser

CronFields parseCron(std::string_view text) {
  using namespace cron_parser;
  if (text.size() > kMostBytes || std::any_of(text.begin(), text.end(), [](char c) { return c < ' ' && c != '\t'; })) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("a cron expression is one line of at most {} characters", kMostBytes));
  }
  std::vector<std::string_view> fields = words(text);
  if (fields.size() == 1 && fields[0].front() == '@') fields = words(expanded(fields[0]));
  if (fields.size() != 5 && fields.size() != 6) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("cron \"{}\" has {} fields: five are minute, hour, day-of-month, month, day-of-week; six "
                            "have the second before them",
                            text, fields.size()));
  }
  CronFields out;
  if (fields.size() == 6) {
    out.seconds = FieldParser(text, kSecond, fields[0]).sets();
    fields.erase(fields.begin());
  }
  out.minutes = FieldParser(text, kMinute, fields[0]).sets();
  out.hours = static_cast<std::uint32_t>(FieldParser(text, kHour, fields[1]).sets());
  out.everyHour = fields[1].front() == '*';
  parseDays(text, fields[2], out);
  out.months = static_cast<std::uint16_t>(FieldParser(text, kMonth, fields[3]).sets());
  parseWeekdays(text, fields[4], out);
  if (!out.everComes()) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("cron \"{}\" never comes: no such day exists in those months", text));
  }
  return out;
}

}  // namespace tidegate::detail
