#include "mysql/detail/gtid.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "tidegate/core/error.h"

namespace tidegate::mysql::detail {
namespace {

template <class Number>
bool takeNumber(std::string_view& text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

bool takeDash(std::string_view& text) {
  if (!text.starts_with('-')) return false;
  text.remove_prefix(1);
  return true;
}

std::string_view withoutSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\n')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\n')) text.remove_suffix(1);
  return text;
}

bool beforeDomain(const Gtid& gtid, std::uint32_t domain) { return gtid.domain < domain; }

}  // namespace

std::uint64_t GtidState::sequenceOf(std::uint32_t domain) const noexcept {
  for (const Gtid& gtid : gtids_) {
    if (gtid.domain == domain) return gtid.sequence;
  }
  return 0;
}

void GtidState::set(const Gtid& gtid) {
  const auto at = std::lower_bound(gtids_.begin(), gtids_.end(), gtid.domain, beforeDomain);
  if (at != gtids_.end() && at->domain == gtid.domain) {
    *at = gtid;
  } else {
    gtids_.insert(at, gtid);
  }
}

bool GtidState::within(const GtidState& other) const noexcept {
  return std::all_of(gtids_.begin(), gtids_.end(),
                     [&](const Gtid& gtid) { return gtid.sequence <= other.sequenceOf(gtid.domain); });
}

GtidState GtidState::meet(const GtidState& other) const {
  GtidState met;
  for (const Gtid& mine : gtids_) {
    for (const Gtid& theirs : other.gtids_) {
      if (mine.domain == theirs.domain) met.gtids_.push_back(mine.sequence <= theirs.sequence ? mine : theirs);
    }
  }
  return met;
}

bool isGtidTag(std::string_view text) noexcept {
  constexpr std::size_t kMost = 32;
  const auto isLetter = [](char c) { return c == '_' || (c >= 'a' && c <= 'z'); };
  return !text.empty() && text.size() <= kMost && isLetter(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return isLetter(c) || (c >= '0' && c <= '9'); });
}

Gtid gtidFromText(std::string_view text) {
  const std::string_view whole = text;
  Gtid gtid;
  constexpr std::size_t kUuidEnd = 36;
  if (text.size() > kUuidEnd && text[kUuidEnd] == ':' && parseUuid(text.substr(0, kUuidEnd), gtid.source.uuid)) {
    text.remove_prefix(kUuidEnd + 1);
    if (const auto colon = text.find(':'); colon != std::string_view::npos && isGtidTag(text.substr(0, colon))) {
      gtid.source.tag = text.substr(0, colon);
      text.remove_prefix(colon + 1);
    }
    if (takeNumber(text, gtid.sequence) && text.empty() && gtid.sequence != 0) return gtid;
  } else if (takeNumber(text, gtid.domain) && takeDash(text) && takeNumber(text, gtid.server) && takeDash(text) &&
             takeNumber(text, gtid.sequence) && text.empty()) {
    return gtid;
  }
  throw Error(ErrorCode::parseError, Retry::never,
              fmt::format("\"{}\" is no GTID, which reads as 0-1-5, or with MySQL as "
                          "3e11fa47-71ca-11e1-9e33-c80aa9429562:5",
                          whole.substr(0, 80)));
}

std::string gtidToText(const Gtid& gtid) {
  const GtidSource& source = gtid.source;
  if (!source.tag.empty()) return fmt::format("{}:{}:{}", toIso(source.uuid), source.tag, gtid.sequence);
  if (!(source.uuid == Uuid{})) return fmt::format("{}:{}", toIso(source.uuid), gtid.sequence);
  return fmt::format("{}-{}-{}", gtid.domain, gtid.server, gtid.sequence);
}

GtidState gtidStateFromText(std::string_view text) {
  GtidState state;
  for (text = withoutSpace(text); !text.empty();) {
    const auto comma = text.find(',');
    state.set(gtidFromText(withoutSpace(text.substr(0, comma))));
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return state;
}

std::string gtidStateToText(const GtidState& state) {
  std::string text;
  for (const Gtid& gtid : state.gtids()) text += (text.empty() ? "" : ",") + gtidToText(gtid);
  return text;
}

}  // namespace tidegate::mysql::detail
