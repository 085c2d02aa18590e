#include "kinesis/detail/place.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "tidegate/core/error.h"
#include "tidegate/http/message.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::string_view kPlaceStart = "k1|";

template <class Number>
bool readWhole(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool isSequence(std::string_view text) {
  return !text.empty() && text.size() <= 128 && text.find_first_not_of("0123456789") == text.npos &&
         (text.size() == 1 || text.front() != '0');
}

/// What stands before the first `mark`, which goes with it; all of it where there is none.
std::string_view cut(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  const std::string_view first = text.substr(0, at);
  text.remove_prefix(at == text.npos ? text.size() : at + 1);
  return first;
}

void appendShardPlace(const ShardPlace& place, std::string& out) {
  switch (place.kind) {
    case ShardPlaceKind::beginning:
      fmt::format_to(std::back_inserter(out), "t@{}", place.millis);
      break;
    case ShardPlaceKind::time:
      fmt::format_to(std::back_inserter(out), "@{}", place.millis);
      break;
    case ShardPlaceKind::after:
      out += place.sequence;
      if (place.parts != 0) fmt::format_to(std::back_inserter(out), ".{}", place.parts);
      fmt::format_to(std::back_inserter(out), "@{}", place.millis);
      break;
    case ShardPlaceKind::done:
      out.push_back('x');
      break;
  }
  if (place.tenure != 0) fmt::format_to(std::back_inserter(out), "#{}", place.tenure);
  for (std::size_t i = 0; i < place.parents.size(); ++i) {
    out.push_back(i == 0 ? '<' : ',');
    out += http::percentEncode(place.parents[i]);
  }
}

std::optional<std::string> nameOf(std::string_view text) {
  if (text.empty()) return std::nullopt;
  return http::percentDecode(text);
}

/// `sequence[.parts]@millis`
bool readAfter(std::string_view text, ShardPlace& place) {
  std::string_view rest = text;
  const std::string_view record = cut(rest, '@');
  std::string_view parts = record;
  place.sequence = cut(parts, '.');
  const bool partial = place.sequence.size() < record.size();
  place.kind = ShardPlaceKind::after;
  return isSequence(place.sequence) && readWhole(rest, place.millis) &&
         (!partial || (readWhole(parts, place.parts) && place.parts > 0));
}

std::optional<ShardPlace> shardPlaceOf(std::string_view text) {
  ShardPlace place;
  const bool hasParents = text.find('<') != text.npos;
  std::string_view tenure = cut(text, '<');
  const bool hasTenure = tenure.find('#') != tenure.npos;
  const std::string_view at = cut(tenure, '#');
  if (hasTenure && (!readWhole(tenure, place.tenure) || place.tenure == 0)) return std::nullopt;
  while (!text.empty()) {
    const auto parent = nameOf(cut(text, ','));
    if (!parent) return std::nullopt;
    place.parents.push_back(*parent);
  }
  if (hasParents && place.parents.empty()) return std::nullopt;
  if (at.starts_with("t@")) return readWhole(at.substr(2), place.millis) ? std::optional(place) : std::nullopt;
  if (at == "x") {
    place.kind = ShardPlaceKind::done;
    return place;
  }
  if (at.starts_with('@')) {
    place.kind = ShardPlaceKind::time;
    return readWhole(at.substr(1), place.millis) ? std::optional(place) : std::nullopt;
  }
  return readAfter(at, place) ? std::optional(place) : std::nullopt;
}

std::optional<ObjectVersion> versionOf(std::string_view text) {
  ObjectVersion version;
  if (text.find('~') == text.npos || !readWhole(cut(text, '~'), version.modifiedMillis)) return std::nullopt;
  const auto tag = http::percentDecode(text);
  if (!tag) return std::nullopt;
  version.tag = *tag;
  return version;
}

/// Whether an ancestor of a shard is still being read in a place, as far as the other place names its lineage.
bool waitsForAncestor(const StreamPlace& place, const std::string& shard, const StreamPlace& other) {
  std::vector<std::string> open{shard};
  std::set<std::string> seen;
  while (!open.empty()) {
    const auto named = other.shards.find(open.back());
    open.pop_back();
    if (named == other.shards.end()) continue;
    for (const std::string& parent : named->second.parents) {
      const auto at = place.shards.find(parent);
      if (at != place.shards.end() && at->second.kind != ShardPlaceKind::done) return true;
      if (seen.insert(parent).second) open.push_back(parent);
    }
  }
  return false;
}

/// Later than what any owner says: it was read to its end and is listed no more.
constexpr std::uint64_t kForgotten = UINT64_MAX;

/// How far a shard is in a place; none: not begun.
std::optional<ShardPlace> valueIn(const StreamPlace& place, const std::string& shard, const StreamPlace& other) {
  if (const auto found = place.shards.find(shard); found != place.shards.end()) return found->second;
  if (place.shards.empty() || waitsForAncestor(place, shard, other)) return std::nullopt;
  return ShardPlace{.kind = ShardPlaceKind::done, .tenure = kForgotten};
}

std::strong_ordering compareValues(const std::optional<ShardPlace>& a, const std::optional<ShardPlace>& b) {
  if (!a || !b) return a.has_value() <=> b.has_value();
  const bool done = a->kind == ShardPlaceKind::done && b->kind == ShardPlaceKind::done;
  if (done && (a->tenure == kForgotten || b->tenure == kForgotten)) return std::strong_ordering::equal;
  return compareShardPlaces(*a, *b);
}

template <class Body>
void forEachShard(const StreamPlace& a, const StreamPlace& b, Body&& body) {
  for (const auto& [shard, place] : a.shards) body(shard);
  for (const auto& [shard, place] : b.shards) {
    if (!a.shards.contains(shard)) body(shard);
  }
}

}  // namespace

std::string placeText(const StreamPlace& place) {
  std::string out(kPlaceStart);
  for (const auto& [shard, at] : place.shards) {
    if (out.size() > kPlaceStart.size()) out.push_back(';');
    out += http::percentEncode(shard);
    out.push_back('=');
    appendShardPlace(at, out);
  }
  out.push_back('|');
  bool first = true;
  for (const auto& [table, version] : place.tables) {
    fmt::format_to(std::back_inserter(out), "{}{}={}~{}", first ? "" : ";", http::percentEncode(table),
                   version.modifiedMillis, http::percentEncode(version.tag));
    first = false;
  }
  return out;
}

std::optional<StreamPlace> parsePlace(std::string_view text) {
  if (!text.starts_with(kPlaceStart) || std::count(text.begin(), text.end(), '|') != 2) return std::nullopt;
  text.remove_prefix(kPlaceStart.size());
  StreamPlace place;
  std::string_view shards = cut(text, '|');
  while (!shards.empty()) {
    std::string_view entry = cut(shards, ';');
    const auto shard = nameOf(cut(entry, '='));
    const auto at = shardPlaceOf(entry);
    if (!shard || !at || !place.shards.emplace(*shard, *at).second) return std::nullopt;
  }
  while (!text.empty()) {
    std::string_view entry = cut(text, ';');
    const auto table = nameOf(cut(entry, '='));
    const auto version = versionOf(entry);
    if (!table || !version || !place.tables.emplace(*table, *version).second) return std::nullopt;
  }
  return place;
}

StreamPlace requirePlace(const Position& position) {
  if (auto place = parsePlace(position.octets)) return std::move(*place);
  throw Error(ErrorCode::invalidArgument, Retry::never,
              "this is no position of a Kinesis source: take one from its baseline, its events or positionFromText");
}

std::strong_ordering compareSequences(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return a.size() <=> b.size();
  return a.compare(b) <=> 0;
}

std::strong_ordering compareShardPlaces(const ShardPlace& a, const ShardPlace& b) {
  if (a.tenure != b.tenure) return a.tenure <=> b.tenure;
  if (a.kind != b.kind) return a.kind <=> b.kind;
  if (const auto order = compareSequences(a.sequence, b.sequence); order != std::strong_ordering::equal) return order;
  // 0 is the whole record: more than any part.
  if (const auto order = a.parts - 1 <=> b.parts - 1; order != std::strong_ordering::equal) return order;
  return a.millis <=> b.millis;
}

std::partial_ordering comparePlaces(const StreamPlace& a, const StreamPlace& b) {
  bool less = false, greater = false;
  forEachShard(a, b, [&](const std::string& shard) {
    const auto order = compareValues(valueIn(a, shard, b), valueIn(b, shard, a));
    less = less || order == std::strong_ordering::less;
    greater = greater || order == std::strong_ordering::greater;
  });
  if (less && greater) return std::partial_ordering::unordered;
  if (less) return std::partial_ordering::less;
  return greater ? std::partial_ordering::greater : std::partial_ordering::equivalent;
}

StreamPlace meetPlaces(const StreamPlace& a, const StreamPlace& b) {
  StreamPlace met;
  forEachShard(a, b, [&](const std::string& shard) {
    const auto left = valueIn(a, shard, b), right = valueIn(b, shard, a);
    if (!left || !right) return;
    ShardPlace& value = met.shards[shard];
    value = compareShardPlaces(*left, *right) == std::strong_ordering::greater ? *right : *left;
    if (value.tenure == kForgotten) value.tenure = 0;  // of both
    for (const StreamPlace* of : {&a, &b}) {           // `done` by inference knows no parents
      const auto named = of->shards.find(shard);
      if (named != of->shards.end() && value.parents.empty()) value.parents = named->second.parents;
    }
  });
  for (const StreamPlace* of : {&a, &b}) {
    for (const auto& [table, version] : of->tables) {
      const auto [at, added] = met.tables.emplace(table, version);
      if (!added && version.modifiedMillis < at->second.modifiedMillis) at->second = version;
    }
  }
  return met;
}

void PlaceWriter::begin(const StreamPlace& place, std::string_view shard) {
  StreamPlace marked{.tables = place.tables};
  before_ = kPlaceStart;
  after_.clear();
  std::string* out = &before_;
  for (const auto& [name, at] : place.shards) {
    if (out->size() > (out == &before_ ? kPlaceStart.size() : 0) || out == &after_) out->push_back(';');
    *out += http::percentEncode(name) + "=";
    if (name == shard)
      out = &after_;
    else
      appendShardPlace(at, *out);
  }
  after_ += placeText(marked).substr(kPlaceStart.size());
}

Position PlaceWriter::at(const ShardPlace& of) const {
  Position position;
  position.octets.reserve(before_.size() + after_.size() + 96);
  position.octets = before_;
  appendShardPlace(of, position.octets);
  position.octets += after_;
  return position;
}

}  // namespace tidegate::kinesis::detail
