#include <array>

#include "tidegate/durable_streams/stream_store.h"

namespace tidegate::durable_streams {

namespace {

constexpr std::size_t kPositionDigits = 16;

std::optional<std::uint64_t> positionNumber(std::string_view digits) {
  if (digits.empty() || digits.size() > kPositionDigits) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return number;
}

}  // namespace

std::string formatPosition(Position position) {
  std::array<char, 2 * kPositionDigits + 1> text{};
  text.fill('0');
  text[kPositionDigits] = '_';
  for (std::size_t i = text.size(); position > 0 && i > kPositionDigits + 1; position /= 10) {
    text[--i] = static_cast<char>('0' + position % 10);
  }
  return {text.data(), text.size()};
}

std::optional<Position> parsePosition(std::string_view text) noexcept {
  const std::size_t bar = text.find('_');
  if (bar == std::string_view::npos) return std::nullopt;
  const auto first = positionNumber(text.substr(0, bar));
  const auto second = positionNumber(text.substr(bar + 1));
  // Only 0 is ever given out; any other first number lies beyond every stream.
  if (!first || !second) return std::nullopt;
  return *first == 0 ? *second : ~Position{0};
}

std::string_view toString(Verdict verdict) noexcept {
  constexpr std::array<std::string_view, 20> kNames{"done",           "unchanged",   "duplicate",  "notFound",
                                                    "gone",           "blocked",     "differs",    "wrongType",
                                                    "closed",         "seqNotAfter", "staleEpoch", "epochNotFromZero",
                                                    "producerGap",    "noSource",    "sourceGone", "badForkPoint",
                                                    "badSubPosition", "badJson",     "tooMany",    "unavailable"};
  const auto index = static_cast<std::size_t>(verdict);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace tidegate::durable_streams
