#include "mysql/detail/binlog_position.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <utility>

#include "source/detail/baseline_progress.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::uint8_t kByGtid = 'G', kByFile = 'F';
constexpr std::uint8_t kWithRestart = 0x20;  ///< makes the kind's letter a small one
constexpr std::uint8_t kWithBaseline = 0x80;
/// More domains than any server is set up with.
constexpr std::uint64_t kMaxDomains = 4'096;

Error noPosition(std::string_view text) {
  return Error(ErrorCode::parseError, Retry::never,
               fmt::format("\"{}\" is no position of a MySQL source, which reads as 0-1-5 or file:1/3/4567",
                           text.substr(0, 80)));
}

Error noOctets(std::size_t size) {
  return Error(ErrorCode::parseError, Retry::never,
               fmt::format("a position of {} octets is none of a MySQL source", size));
}

void putNumber(std::uint64_t number, std::string& out) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
  out.push_back(static_cast<char>(number));
}

void putGtid(const Gtid& gtid, std::string& out) {
  putNumber(gtid.domain, out);
  putNumber(gtid.server, out);
  putNumber(gtid.sequence, out);
}

void putBorder(const Border& border, std::string& out) {
  if (border.byFile) {
    putNumber(border.file.server, out);
    putNumber(border.file.number, out);
    return putNumber(border.file.offset, out);
  }
  putNumber(border.gtids.gtids().size(), out);
  for (const Gtid& gtid : border.gtids.gtids()) putGtid(gtid, out);
}

/// Reads what the functions above wrote, and nothing else: a place has one form.
class PlaceReader {
 public:
  explicit PlaceReader(std::string_view octets) : whole_(octets), rest_(octets) {}

  bool done() const { return rest_.empty(); }
  /// A baseline's progress, to the end.
  std::string progress() {
    if (rest_.empty()) throw noOctets(whole_.size());
    tidegate::detail::decodeProgress(rest_);
    return std::string(std::exchange(rest_, {}));
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) break;
      const auto octet = static_cast<std::uint8_t>(rest_.front());
      rest_.remove_prefix(1);
      const std::uint64_t bits = octet & 0x7F;
      if (shift == 63 && bits > 1) break;
      value |= bits << shift;
      if (octet >= 0x80) continue;
      if (octet == 0 && shift != 0) break;  // a longer form of the same number
      return value;
    }
    throw noOctets(whole_.size());
  }
  std::uint32_t number32() {
    const std::uint64_t value = number();
    if (value > UINT32_MAX) throw noOctets(whole_.size());
    return static_cast<std::uint32_t>(value);
  }
  Gtid gtid() {
    Gtid gtid;
    gtid.domain = number32();
    gtid.server = number32();
    gtid.sequence = number();
    return gtid;
  }
  Border border(bool byFile) {
    Border border{.byFile = byFile};
    if (byFile) {
      border.file.server = number32();
      border.file.number = number();
      border.file.offset = number();
      return border;
    }
    const std::uint64_t count = number();
    if (count > kMaxDomains) throw noOctets(whole_.size());
    for (std::uint64_t i = 0; i < count; ++i) {
      const Gtid next = gtid();
      const auto& gtids = border.gtids.gtids();
      if (!gtids.empty() && gtids.back().domain >= next.domain) throw noOctets(whole_.size());
      border.gtids.set(next);
    }
    return border;
  }

 private:
  std::string_view whole_, rest_;
};

std::partial_ordering orderOf(bool lessOrEqual, bool greaterOrEqual) {
  if (lessOrEqual && greaterOrEqual) return std::partial_ordering::equivalent;
  if (lessOrEqual) return std::partial_ordering::less;
  return greaterOrEqual ? std::partial_ordering::greater : std::partial_ordering::unordered;
}

template <class Number>
Number wholeNumber(std::string_view text, std::string_view whole) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) throw noPosition(whole);
  return number;
}

std::string borderToText(const Border& border) {
  if (!border.byFile) return gtidStateToText(border.gtids);
  return fmt::format("file:{}/{}/{}", border.file.server, border.file.number, border.file.offset);
}

Border borderFromText(std::string_view text, std::string_view whole) {
  constexpr std::string_view kFile = "file:";
  Border border;
  if (!text.starts_with(kFile)) {
    border.gtids = gtidStateFromText(text);
    return border;
  }
  text.remove_prefix(kFile.size());
  const auto first = text.find('/'), second = text.find('/', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) throw noPosition(whole);
  border.byFile = true;
  border.file.server = wholeNumber<std::uint32_t>(text.substr(0, first), whole);
  border.file.number = wholeNumber<std::uint64_t>(text.substr(first + 1, second - first - 1), whole);
  border.file.offset = wholeNumber<std::uint64_t>(text.substr(second + 1), whole);
  return border;
}

std::string octetsFromHex(std::string_view hex, std::string_view whole) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  if (hex.empty() || hex.size() % 2 != 0) throw noPosition(whole);
  std::string octets;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const auto high = kDigits.find(hex[i]), low = kDigits.find(hex[i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) throw noPosition(whole);
    octets.push_back(static_cast<char>(high * 16 + low));
  }
  return octets;
}

char kindOf(const Place& place) {
  std::uint8_t kind = place.before.byFile ? kByFile : kByGtid;
  if (place.restart) kind |= kWithRestart;
  if (!place.baseline.empty()) kind |= kWithBaseline;
  return static_cast<char>(kind);
}

void putTail(const Place& place, bool withCurrent, std::string& out) {
  if (withCurrent && !place.before.byFile) putGtid(place.current, out);
  if (place.restart) putBorder(*place.restart, out);
  out.append(place.baseline);
}

/// Without their baselines' progress.
std::partial_ordering compareWithoutBaseline(const Place& a, const Place& b) {
  const std::partial_ordering borders = compareBorders(a.before, b.before);
  if (borders != std::partial_ordering::equivalent) return borders;
  // Behind one border different domains may go on, on two servers.
  const bool apart = a.ordinal != 0 && b.ordinal != 0 && !(a.current == b.current);
  return apart ? std::partial_ordering::unordered : std::partial_ordering(a.ordinal <=> b.ordinal);
}

Place meetWithoutBaseline(const Place& a, const Place& b) {
  const std::partial_ordering order = compareWithoutBaseline(a, b);
  if (order == std::partial_ordering::less || order == std::partial_ordering::equivalent) return a;
  if (order == std::partial_ordering::greater) return b;
  if (a.before.byFile || b.before.byFile) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("positions {} and {} are of two servers' files and have no place before both",
                            positionToText(positionOf(a)), positionToText(positionOf(b))));
  }
  Place met;
  met.before.gtids = a.before.gtids.meet(b.before.gtids);
  if (a.restart || b.restart) {
    const Border& left = a.restart ? *a.restart : a.before;
    const Border& right = b.restart ? *b.restart : b.before;
    met.restart = Border{.gtids = left.gtids.meet(right.gtids).meet(met.before.gtids)};
  }
  return met;
}

}  // namespace

PositionParts positionParts(const Place& place) {
  PositionParts parts;
  parts.head.push_back(kindOf(place));
  putBorder(place.before, parts.head);
  putTail(place, true, parts.tail);
  return parts;
}

void writePosition(const PositionParts& parts, std::uint64_t ordinal, Position& out) {
  out.octets.assign(parts.head);
  putNumber(ordinal, out.octets);
  out.octets.append(parts.tail);
}

void writePosition(const Place& place, Position& out) {
  out.octets.clear();
  out.octets.push_back(kindOf(place));
  putBorder(place.before, out.octets);
  putNumber(place.ordinal, out.octets);
  putTail(place, place.ordinal != 0, out.octets);
}

Position positionOf(const Place& place) {
  Position position;
  writePosition(place, position);
  return position;
}

Place placeOf(const Position& position) {
  const std::string& octets = position.octets;
  const auto kind = static_cast<std::uint8_t>(octets.empty() ? 0 : octets[0]);
  const std::uint8_t letter = kind & static_cast<std::uint8_t>(~(kWithRestart | kWithBaseline));
  const bool byFile = letter == kByFile;
  if (!byFile && letter != kByGtid) throw noOctets(octets.size());
  PlaceReader in(std::string_view(octets).substr(1));
  Place place;
  place.before = in.border(byFile);
  place.ordinal = in.number();
  if (place.ordinal != 0 && !byFile) place.current = in.gtid();
  if ((kind & kWithRestart) != 0) place.restart = in.border(byFile);
  if ((kind & kWithBaseline) != 0) place.baseline = in.progress();
  if (!in.done()) throw noOctets(octets.size());
  return place;
}

std::partial_ordering compareBorders(const Border& a, const Border& b) {
  if (a.byFile != b.byFile) return std::partial_ordering::unordered;
  if (!a.byFile) return orderOf(a.gtids.within(b.gtids), b.gtids.within(a.gtids));
  if (a.file.server != b.file.server) return std::partial_ordering::unordered;
  if (a.file.number != b.file.number) return a.file.number <=> b.file.number;
  return a.file.offset <=> b.file.offset;
}

std::partial_ordering comparePlaces(const Place& a, const Place& b) {
  const std::partial_ordering order = compareWithoutBaseline(a, b);
  if (order != std::partial_ordering::equivalent) return order;
  return tidegate::detail::compareProgress(a.baseline, b.baseline);
}

Place meetOf(const Place& a, const Place& b) {
  Place met = meetWithoutBaseline(a, b);
  met.baseline = tidegate::detail::meetProgress(a.baseline, b.baseline);
  return met;
}

std::string positionToText(const Position& position) {
  if (position.empty()) return {};
  const Place place = placeOf(position);
  std::string text = borderToText(place.before);
  if (text.empty()) text = "none";
  if (place.ordinal != 0) text += fmt::format("+{}", place.ordinal);
  if (place.ordinal != 0 && !place.before.byFile) text += '@' + gtidToText(place.current);
  if (place.restart) text += ";xa=" + borderToText(*place.restart);
  if (place.baseline.empty()) return text;
  text += ";baseline=";
  for (const char c : place.baseline) {
    fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<unsigned char>(c));
  }
  return text;
}

Position positionFromText(std::string_view text) {
  const std::string_view whole = text;
  constexpr std::string_view kXa = ";xa=", kBaseline = ";baseline=";
  Place place;
  if (const auto baseline = text.find(kBaseline); baseline != std::string_view::npos) {
    place.baseline = octetsFromHex(text.substr(baseline + kBaseline.size()), whole);
    tidegate::detail::decodeProgress(place.baseline);
    text = text.substr(0, baseline);
  }
  if (const auto xa = text.find(kXa); xa != std::string_view::npos) {
    place.restart = borderFromText(text.substr(xa + kXa.size()), whole);
    text = text.substr(0, xa);
  }
  const auto plus = text.find('+');
  std::string_view border = text.substr(0, plus);
  if (border.empty()) throw noPosition(whole);
  place.before = borderFromText(border == "none" ? std::string_view() : border, whole);
  if (place.restart && place.restart->byFile != place.before.byFile) throw noPosition(whole);
  if (plus == std::string_view::npos) return positionOf(place);
  const auto at = text.find('@', plus);
  if ((at == std::string_view::npos) != place.before.byFile) throw noPosition(whole);
  place.ordinal =
      wholeNumber<std::uint64_t>(text.substr(plus + 1, at == std::string_view::npos ? at : at - plus - 1), whole);
  if (place.ordinal == 0) throw noPosition(whole);
  if (at != std::string_view::npos) place.current = gtidFromText(text.substr(at + 1));
  return positionOf(place);
}

std::uint64_t fileNumberOf(std::string_view file) {
  const auto dot = file.rfind('.');
  if (dot == std::string_view::npos) throw noPosition(file);
  return wholeNumber<std::uint64_t>(file.substr(dot + 1), file);
}

}  // namespace tidegate::mysql::detail
