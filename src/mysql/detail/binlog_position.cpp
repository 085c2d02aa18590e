#include "mysql/detail/binlog_position.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>
#include <utility>

#include "core/detail/octet_text.h"
#include "source/detail/baseline_progress.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::uint8_t kByDomains = 'G', kBySources = 'U', kByTaggedSources = 'T', kByFile = 'F';
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

struct Varint {
  explicit Varint(std::uint64_t number) {
    for (; number >= 0x80; number >>= 7) octets[size++] = static_cast<char>(number | 0x80);
    octets[size++] = static_cast<char>(number);
  }
  std::array<char, 10> octets;
  std::size_t size = 0;
};

void putNumber(std::uint64_t number, std::string& out) {
  const Varint put(number);
  out.append(put.octets.data(), put.size);
}

void putSource(const GtidSource& source, bool tags, std::string& out) {
  for (const std::uint8_t octet : source.uuid.octets) out.push_back(static_cast<char>(octet));
  if (!tags) return;
  putNumber(source.tag.size(), out);
  out += source.tag;
}

/// @param tags whether the position's kind says that sources have them.
void putGtid(const Gtid& gtid, BorderBy by, bool tags, std::string& out) {
  if (by == BorderBy::sources) {
    putSource(gtid.source, tags, out);
    return putNumber(gtid.sequence, out);
  }
  putNumber(gtid.domain, out);
  putNumber(gtid.server, out);
  putNumber(gtid.sequence, out);
}

void putSet(const GtidSet& set, bool tags, std::string& out) {
  putNumber(set.sources().size(), out);
  for (const GtidSet::Source& source : set.sources()) {
    putSource(source.name, tags, out);
    putNumber(source.intervals.size(), out);
    std::uint64_t end = 0;
    for (const GtidSet::Interval& interval : source.intervals) {
      putNumber(interval.first - end, out);
      putNumber(interval.last - interval.first, out);
      end = interval.last;
    }
  }
}

void putBorder(const Border& border, bool tags, std::string& out) {
  if (border.by == BorderBy::sources) return putSet(border.set, tags, out);
  if (border.byFile()) {
    putNumber(border.file.server, out);
    putNumber(border.file.number, out);
    return putNumber(border.file.offset, out);
  }
  putNumber(border.gtids.gtids().size(), out);
  for (const Gtid& gtid : border.gtids.gtids()) putGtid(gtid, border.by, tags, out);
}

/// Reads what the functions above wrote, and nothing else: a place has one form.
class PlaceReader {
 public:
  /// @param tags sources have them.
  PlaceReader(std::string_view octets, bool tags) : whole_(octets), rest_(octets), tags_(tags) {}

  /// Nothing is left, and there were tags if there should be.
  bool done() const { return rest_.empty() && tags_ == sawTag_; }
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
  GtidSource source() {
    GtidSource source;
    auto& octets = source.uuid.octets;
    if (rest_.size() < octets.size()) throw noOctets(whole_.size());
    for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<std::uint8_t>(rest_[i]);
    rest_.remove_prefix(octets.size());
    if (!tags_) return source;
    const std::uint64_t size = number();
    if (size > rest_.size()) throw noOctets(whole_.size());
    source.tag = rest_.substr(0, static_cast<std::size_t>(size));
    rest_.remove_prefix(static_cast<std::size_t>(size));
    if (source.tag.empty()) return source;
    if (!isGtidTag(source.tag)) throw noOctets(whole_.size());
    sawTag_ = true;
    return source;
  }
  Gtid gtid(BorderBy by) {
    Gtid gtid;
    if (by == BorderBy::sources) {
      gtid.source = source();
      gtid.sequence = number();
      return gtid;
    }
    gtid.domain = number32();
    gtid.server = number32();
    gtid.sequence = number();
    return gtid;
  }
  GtidSet set() {
    GtidSet set;
    for (std::uint64_t sources = number(); sources > 0; --sources) {
      const GtidSource name = source();
      const bool sorted = set.empty() || set.sources().back().name < name;
      std::uint64_t end = 0, intervals = number();
      if (!sorted || intervals == 0) throw noOctets(whole_.size());
      for (; intervals > 0; --intervals) {
        const std::uint64_t gap = number(), more = number();
        const std::uint64_t least = end == 0 ? 1 : 2;  // else it would be one with the one before it
        constexpr std::uint64_t kMost = INT64_MAX - 1;
        if (gap < least || gap > kMost - end || more > kMost - end - gap) throw noOctets(whole_.size());
        set.add(name, {end + gap, end + gap + more});
        end += gap + more;
      }
    }
    return set;
  }
  Border border(BorderBy by) {
    Border border{.by = by};
    if (by == BorderBy::sources) {
      border.set = set();
      return border;
    }
    if (by == BorderBy::file) {
      border.file.server = number32();
      border.file.number = number();
      border.file.offset = number();
      return border;
    }
    const std::uint64_t count = number();
    if (count > kMaxDomains) throw noOctets(whole_.size());
    for (std::uint64_t i = 0; i < count; ++i) {
      const Gtid next = gtid(by);
      const auto& gtids = border.gtids.gtids();
      if (!gtids.empty() && gtids.back().domain >= next.domain) throw noOctets(whole_.size());
      border.gtids.set(next);
    }
    return border;
  }

 private:
  std::string_view whole_, rest_;
  bool tags_, sawTag_ = false;
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

constexpr std::string_view kFilePrefix = "file:", kUuidPrefix = "uuid:";

std::string borderToText(const Border& border) {
  if (border.by == BorderBy::sources) return std::string(kUuidPrefix) + gtidSetToText(border.set);
  if (border.by == BorderBy::domains) return gtidStateToText(border.gtids);
  return fmt::format("file:{}/{}/{}", border.file.server, border.file.number, border.file.offset);
}

Border borderFromText(std::string_view text, std::string_view whole) {
  Border border;
  if (text.starts_with(kUuidPrefix)) {
    border.by = BorderBy::sources;
    try {
      border.set = gtidSetFromText(text.substr(kUuidPrefix.size()));
    } catch (const Error&) {
      throw noPosition(whole);
    }
    return border;
  }
  if (!text.starts_with(kFilePrefix)) {
    border.gtids = gtidStateFromText(text);
    return border;
  }
  text.remove_prefix(kFilePrefix.size());
  const auto first = text.find('/'), second = text.find('/', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos) throw noPosition(whole);
  border.by = BorderBy::file;
  border.file.server = wholeNumber<std::uint32_t>(text.substr(0, first), whole);
  border.file.number = wholeNumber<std::uint64_t>(text.substr(first + 1, second - first - 1), whole);
  border.file.offset = wholeNumber<std::uint64_t>(text.substr(second + 1), whole);
  return border;
}

std::string octetsFromHex(std::string_view hex, std::string_view whole) {
  std::optional<std::string> octets = tidegate::detail::fromHex(hex);
  if (hex.empty() || !octets) throw noPosition(whole);
  return *std::move(octets);
}

/// @param withCurrent the transaction is part of it.
bool hasTags(const Place& place, bool withCurrent) {
  if (place.before.by != BorderBy::sources) return false;
  return place.before.set.tagged() || (place.restart && place.restart->set.tagged()) ||
         (withCurrent && !place.current.source.tag.empty());
}

char kindOf(const Place& place, bool tags) {
  std::uint8_t kind = kByDomains;
  if (place.before.by == BorderBy::sources) kind = tags ? kByTaggedSources : kBySources;
  if (place.before.byFile()) kind = kByFile;
  if (place.restart) kind |= kWithRestart;
  if (!place.baseline.empty()) kind |= kWithBaseline;
  return static_cast<char>(kind);
}

void putTail(const Place& place, bool withCurrent, bool tags, std::string& out) {
  if (withCurrent && !place.before.byFile()) putGtid(place.current, place.before.by, tags, out);
  if (place.restart) putBorder(*place.restart, tags, out);
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

/// Of two by GTID.
Border meetOfBorders(const Border& a, const Border& b) {
  return {.by = a.by, .gtids = a.gtids.meet(b.gtids), .set = a.set.meet(b.set)};
}

Place meetWithoutBaseline(const Place& a, const Place& b) {
  const std::partial_ordering order = compareWithoutBaseline(a, b);
  if (order == std::partial_ordering::less || order == std::partial_ordering::equivalent) return a;
  if (order == std::partial_ordering::greater) return b;
  if (a.before.byFile() || a.before.by != b.before.by) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                fmt::format("positions {} and {} are of two servers and have no place before both",
                            positionToText(positionOf(a)), positionToText(positionOf(b))));
  }
  Place met;
  met.before = meetOfBorders(a.before, b.before);
  if (a.restart || b.restart) {
    const Border& left = a.restart ? *a.restart : a.before;
    const Border& right = b.restart ? *b.restart : b.before;
    met.restart = meetOfBorders(meetOfBorders(left, right), met.before);
  }
  return met;
}

}  // namespace

PositionWriter::PositionWriter(const Place& place) {
  const bool tags = hasTags(place, true);
  octets_.push_back(kindOf(place, tags));
  putBorder(place.before, tags, octets_);
  headSize_ = octets_.size();
  putTail(place, true, tags, octets_);
}

void PositionWriter::write(std::uint64_t ordinal, Position& out) {
  const Varint number(ordinal);
  if (number.size == ordinalSize_) {
    std::copy_n(number.octets.data(), number.size, octets_.data() + headSize_);
  } else {
    octets_.replace(headSize_, ordinalSize_, number.octets.data(), number.size);
    ordinalSize_ = number.size;
  }
  out.octets.assign(octets_);
}

void writePosition(const Place& place, Position& out) {
  const bool tags = hasTags(place, place.ordinal != 0);
  out.octets.clear();
  out.octets.push_back(kindOf(place, tags));
  putBorder(place.before, tags, out.octets);
  putNumber(place.ordinal, out.octets);
  putTail(place, place.ordinal != 0, tags, out.octets);
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
  BorderBy by = BorderBy::domains;
  if (letter == kByFile) by = BorderBy::file;
  if (letter == kBySources || letter == kByTaggedSources) by = BorderBy::sources;
  if (letter != kByFile && letter != kByDomains && by != BorderBy::sources) throw noOctets(octets.size());
  PlaceReader in(std::string_view(octets).substr(1), letter == kByTaggedSources);
  Place place;
  place.before = in.border(by);
  place.ordinal = in.number();
  if (place.ordinal != 0 && by != BorderBy::file) place.current = in.gtid(by);
  if ((kind & kWithRestart) != 0) place.restart = in.border(by);
  if ((kind & kWithBaseline) != 0) place.baseline = in.progress();
  if (!in.done()) throw noOctets(octets.size());
  return place;
}

std::partial_ordering compareBorders(const Border& a, const Border& b) {
  if (a.by != b.by) return std::partial_ordering::unordered;
  if (a.by == BorderBy::domains) return orderOf(a.gtids.within(b.gtids), b.gtids.within(a.gtids));
  if (a.by == BorderBy::sources) return orderOf(a.set.within(b.set), b.set.within(a.set));
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
  if (place.ordinal != 0 && !place.before.byFile()) text += '@' + gtidToText(place.current);
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
  if (place.restart && place.restart->by != place.before.by) throw noPosition(whole);
  if (plus == std::string_view::npos) return positionOf(place);
  const auto at = text.find('@', plus);
  if ((at == std::string_view::npos) != place.before.byFile()) throw noPosition(whole);
  place.ordinal =
      wholeNumber<std::uint64_t>(text.substr(plus + 1, at == std::string_view::npos ? at : at - plus - 1), whole);
  if (place.ordinal == 0) throw noPosition(whole);
  if (at == std::string_view::npos) return positionOf(place);
  place.current = gtidFromText(text.substr(at + 1));
  const bool ofMySql = !(place.current.source.uuid == Uuid{});
  if (ofMySql != (place.before.by == BorderBy::sources)) throw noPosition(whole);
  return positionOf(place);
}

std::uint64_t fileNumberOf(std::string_view file) {
  const auto dot = file.rfind('.');
  if (dot == std::string_view::npos) throw noPosition(file);
  return wholeNumber<std::uint64_t>(file.substr(dot + 1), file);
}

}  // namespace tidegate::mysql::detail
