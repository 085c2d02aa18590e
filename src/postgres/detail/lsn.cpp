#include "postgres/detail/lsn.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tidegate::postgres::detail {
namespace {

std::optional<std::uint32_t> hexFrom(std::string_view digits) {
  std::uint32_t number = 0;
  if (digits.empty() || digits.size() > 8) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number, 16);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

std::string lsnToText(Lsn lsn) { return fmt::format("{:X}/{:X}", lsn >> 32, lsn & 0xFFFF'FFFFu); }

std::optional<Lsn> lsnFromText(std::string_view text) {
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto high = hexFrom(text.substr(0, slash)), low = hexFrom(text.substr(slash + 1));
  if (!high || !low) return std::nullopt;
  return Lsn{*high} << 32 | *low;
}

std::vector<Lsn> partingsIn(std::string_view history) {
  std::vector<Lsn> partings;
  while (!history.empty()) {  // "1\t0/3000148\tno recovery target specified", and lines that begin with '#'
    const std::string_view line = history.substr(0, history.find('\n'));
    history.remove_prefix(std::min(line.size() + 1, history.size()));
    const auto begin = line.find('\t');
    if (begin == std::string_view::npos || line.front() == '#') continue;
    const std::string_view rest = line.substr(begin + 1);
    if (const auto parting = lsnFromText(rest.substr(0, rest.find('\t')))) partings.push_back(*parting);
  }
  return partings;
}

}  // namespace tidegate::postgres::detail
