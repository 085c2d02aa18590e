#include <algorithm>
#include <charconv>

#include "server/detail/jwks_impl.h"

namespace tidegate::server::detail {
namespace {

bool sameDirective(std::string_view a, std::string_view lower) noexcept {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y; });
}

}  // namespace

std::optional<std::chrono::seconds> cacheAge(std::string_view cacheControl) {
  std::optional<std::chrono::seconds> age;
  while (!cacheControl.empty()) {
    const std::size_t end = std::min(cacheControl.find(','), cacheControl.size());
    std::string_view directive = cacheControl.substr(0, end);
    cacheControl.remove_prefix(std::min(end + 1, cacheControl.size()));
    while (directive.starts_with(' ')) directive.remove_prefix(1);
    while (directive.ends_with(' ')) directive.remove_suffix(1);
    const std::size_t equals = std::min(directive.find('='), directive.size());
    const std::string_view name = directive.substr(0, equals);
    if (sameDirective(name, "no-store") || sameDirective(name, "no-cache")) return std::chrono::seconds(0);
    if (!sameDirective(name, "max-age") || equals == directive.size()) continue;
    std::string_view digits = directive.substr(equals + 1);
    if (digits.size() > 2 && digits.front() == '"' && digits.back() == '"')
      digits = digits.substr(1, digits.size() - 2);
    std::uint32_t seconds = 0;
    const auto [at, error] = std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (error == std::errc() && at == digits.data() + digits.size()) age = std::chrono::seconds(seconds);
  }
  return age;
}

void JwksSchedule::succeeded(Clock::Micros now, std::optional<std::chrono::seconds> said) {
  failures_ = 0;
  fetched_ = tried_ = now;
  due_ = now + std::clamp(said.value_or(options_.age), options_.leastAge, options_.mostAge);
}

void JwksSchedule::failed(Clock::Micros now) {
  tried_ = now;
  const auto pause = options_.failurePause * (std::int64_t{1} << std::min(failures_++, 16u));
  due_ = now + std::min(pause, std::max(options_.leastAge, options_.failurePause));
}

bool JwksSchedule::keyUnknown(Clock::Micros now) {
  if (!tried_) return false;  // the first fetch is under way
  const Clock::Micros earliest = std::max(now, *tried_ + Clock::Micros(options_.unknownKeyPause));
  if (failures_ > 0 || earliest >= due_) return false;
  due_ = earliest;
  return true;
}

bool JwksSchedule::fresh(Clock::Micros now) const noexcept {
  return fetched_ && (failures_ == 0 || now < *fetched_ + Clock::Micros(options_.staleFor));
}

}  // namespace tidegate::server::detail
