#include "mysql/detail/gtid_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "mysql/detail/octet_cursor.h"
#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

constexpr std::size_t kUuidOctets = 16, kUuidLetters = 36;
/// The greatest number that the servers give: what stands behind an interval must be a number too.
constexpr std::uint64_t kMaxNumber = INT64_MAX - 1;

Error noSet(std::string_view text) {
  return Error(ErrorCode::parseError, Retry::never,
               fmt::format("\"{}\" is no set of MySQL's GTIDs, which reads as "
                           "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5",
                           text.substr(0, 80)));
}

bool lesserName(const GtidSet::Source& source, const GtidSource& name) { return source.name < name; }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \n\r\t";
  while (!text.empty() && kSpace.find(text.front()) != std::string_view::npos) text.remove_prefix(1);
  while (!text.empty() && kSpace.find(text.back()) != std::string_view::npos) text.remove_suffix(1);
  return text;
}

std::uint64_t numberOf(std::string_view text, std::string_view whole) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0 || number > kMaxNumber)
    throw noSet(whole);
  return number;
}

/// "orders" of "Orders": the servers take either.
std::string tagOf(std::string_view text, std::string_view whole) {
  std::string tag(text);
  std::transform(tag.begin(), tag.end(), tag.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (!isGtidTag(tag)) throw noSet(whole);
  return tag;
}

/// What stands behind a UUID: intervals, and tags before those that they are of.
void addIntervals(std::string_view text, GtidSource source, std::string_view whole, GtidSet& set) {
  for (bool wantsInterval = true;;) {
    const auto colon = text.find(':');
    const std::string_view one = trimmed(text.substr(0, colon));
    const bool isTag = !one.empty() && (one[0] < '0' || one[0] > '9');
    if (isTag) {
      if (wantsInterval && !source.tag.empty()) throw noSet(whole);
      source.tag = tagOf(one, whole);
      wantsInterval = true;
      if (colon == std::string_view::npos) throw noSet(whole);
      text.remove_prefix(colon + 1);
      continue;
    }
    wantsInterval = false;
    const auto dash = one.find('-');
    GtidSet::Interval interval;
    interval.first = numberOf(one.substr(0, dash), whole);
    interval.last = dash == std::string_view::npos ? interval.first : numberOf(one.substr(dash + 1), whole);
    if (interval.last < interval.first) throw noSet(whole);
    set.add(source, interval);
    if (colon == std::string_view::npos) return;
    text.remove_prefix(colon + 1);
  }
}

void putLittleNumber(std::uint64_t number, std::string& out) {
  for (int i = 0; i < 8; ++i, number >>= 8) out.push_back(static_cast<char>(number & 0xFF));
}

/// A set with tags says so in the last octet of its count, and in the first.
constexpr std::uint64_t kTaggedForm = (std::uint64_t{1} << 56) | 1;
constexpr std::uint64_t kMostTagOctets = 32;

std::uint64_t countOf(std::uint64_t head) {
  const bool withTags = head >> 56 == 1 && (head & 0xFF) == 1;
  if (head >> 56 != 0 && !withTags) refuseOctets("a set of GTIDs is written in an unknown way");
  return withTags ? (head & ~kTaggedForm) >> 8 : head;
}

}  // namespace

const GtidSet::Source* GtidSet::find(const GtidSource& source) const noexcept {
  const auto at = std::lower_bound(sources_.begin(), sources_.end(), source, lesserName);
  return at == sources_.end() || !(at->name == source) ? nullptr : &*at;
}

bool GtidSet::tagged() const noexcept {
  return std::any_of(sources_.begin(), sources_.end(), [](const Source& source) { return !source.name.tag.empty(); });
}

bool GtidSet::contains(const GtidSource& source, std::uint64_t number) const noexcept {
  const Source* const found = find(source);
  return found != nullptr && std::any_of(found->intervals.begin(), found->intervals.end(), [&](const Interval& held) {
           return held.first <= number && number <= held.last;
         });
}

void GtidSet::add(const GtidSource& source, const Interval& interval) {
  auto at = std::lower_bound(sources_.begin(), sources_.end(), source, lesserName);
  if (at == sources_.end() || !(at->name == source)) at = sources_.insert(at, {source, {}});
  std::vector<Interval>& held = at->intervals;
  // From the first that touches it to the last that does, they become one.
  const auto begin =
      std::find_if(held.begin(), held.end(), [&](const Interval& h) { return h.last + 1 >= interval.first; });
  auto end = begin;
  Interval whole = interval;
  for (; end != held.end() && end->first <= interval.last + 1; ++end) {
    whole = {std::min(whole.first, end->first), std::max(whole.last, end->last)};
  }
  held.insert(held.erase(begin, end), whole);
}

bool GtidSet::within(const GtidSet& other) const noexcept {
  return std::all_of(sources_.begin(), sources_.end(), [&](const Source& mine) {
    const Source* const theirs = other.find(mine.name);
    if (theirs == nullptr) return false;
    return std::all_of(mine.intervals.begin(), mine.intervals.end(), [&](const Interval& interval) {
      return std::any_of(theirs->intervals.begin(), theirs->intervals.end(), [&](const Interval& held) {
        return held.first <= interval.first && interval.last <= held.last;
      });
    });
  });
}

GtidSet GtidSet::meet(const GtidSet& other) const {
  GtidSet met;
  for (const Source& mine : sources_) {
    const Source* const theirs = other.find(mine.name);
    if (theirs == nullptr) continue;
    for (const Interval& a : mine.intervals) {
      for (const Interval& b : theirs->intervals) {
        const Interval both{std::max(a.first, b.first), std::min(a.last, b.last)};
        if (both.first <= both.last) met.add(mine.name, both);
      }
    }
  }
  return met;
}

std::string gtidSetToText(const GtidSet& set) {
  std::string text;
  const Uuid* server = nullptr;
  for (const GtidSet::Source& source : set.sources()) {
    if (server == nullptr || !(*server == source.name.uuid))
      text += (text.empty() ? "" : ",") + toIso(source.name.uuid);
    server = &source.name.uuid;
    if (!source.name.tag.empty()) text += ":" + source.name.tag;
    for (const GtidSet::Interval& interval : source.intervals) {
      text += fmt::format(":{}", interval.first);
      if (interval.last != interval.first) text += fmt::format("-{}", interval.last);
    }
  }
  return text;
}

GtidSet gtidSetFromText(std::string_view text) {
  const std::string_view whole = text;
  GtidSet set;
  for (text = trimmed(text); !text.empty();) {
    const auto comma = text.find(',');
    const std::string_view one = trimmed(text.substr(0, comma));
    GtidSource source;
    if (one.size() <= kUuidLetters || one[kUuidLetters] != ':' ||
        !parseUuid(one.substr(0, kUuidLetters), source.uuid)) {
      throw noSet(whole);
    }
    addIntervals(one.substr(kUuidLetters + 1), source, whole, set);
    text = comma == std::string_view::npos ? std::string_view() : trimmed(text.substr(comma + 1));
  }
  return set;
}

std::string gtidSetToOctets(const GtidSet& set) {
  std::string octets;
  const bool tagged = set.tagged();
  const std::uint64_t count = set.sources().size();
  putLittleNumber(tagged ? kTaggedForm | count << 8 : count, octets);
  for (const GtidSet::Source& source : set.sources()) {
    for (const std::uint8_t octet : source.name.uuid.octets) octets.push_back(static_cast<char>(octet));
    if (tagged) {
      octets.push_back(static_cast<char>(source.name.tag.size() << 1));
      octets += source.name.tag;
    }
    putLittleNumber(source.intervals.size(), octets);
    for (const GtidSet::Interval& interval : source.intervals) {
      putLittleNumber(interval.first, octets);
      putLittleNumber(interval.last + 1, octets);
    }
  }
  return octets;
}

GtidSet gtidSetFromOctets(std::string_view octets) {
  OctetCursor in(octets, "a set of GTIDs");
  const std::uint64_t head = in.little(8);
  GtidSet set;
  for (std::uint64_t sources = countOf(head); sources > 0; --sources) {
    GtidSource source;
    std::size_t i = 0;
    for (const char octet : in.take(kUuidOctets)) source.uuid.octets[i++] = static_cast<std::uint8_t>(octet);
    if (head >> 56 != 0) {
      const std::uint64_t size = in.varlen();
      if (size > kMostTagOctets) refuseOctets("a GTID's tag is longer than it can be");
      source.tag = in.take(static_cast<std::size_t>(size));
      if (!source.tag.empty() && !isGtidTag(source.tag)) refuseOctets("a GTID's tag is none");
    }
    const std::uint64_t intervals = in.little(8);
    if (intervals == 0) refuseOctets("a set of GTIDs names a server and none of its transactions");
    for (std::uint64_t left = intervals; left > 0; --left) {
      const std::uint64_t first = in.little(8), end = in.little(8);
      if (first == 0 || end <= first || end > kMaxNumber + 1) refuseOctets("a set of GTIDs has an impossible interval");
      set.add(source, {first, end - 1});
    }
  }
  if (!in.done()) refuseOctets("a set of GTIDs has octets behind its end");
  return set;
}

}  // namespace tidegate::mysql::detail
