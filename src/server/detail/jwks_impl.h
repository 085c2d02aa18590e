/// The state of a Jwks: when to fetch, and what was fetched.
#pragma once

#include <mutex>
#include <optional>
#include <thread>

#include "tidegate/http/client.h"
#include "tidegate/server/jwks.h"

namespace tidegate::server {

namespace detail {

/// `max-age` of a Cache-Control field; zero for `no-cache` and `no-store`; nullopt where it says nothing.
std::optional<std::chrono::seconds> cacheAge(std::string_view cacheControl);

/// When to fetch next. Plain: its owner's lock guards it. Times are of the steady clock.
class JwksSchedule {
 public:
  explicit JwksSchedule(const JwksOptions& options) : options_(options) {}

  Clock::Micros due() const noexcept { return due_; }
  void succeeded(Clock::Micros now, std::optional<std::chrono::seconds> said);
  void failed(Clock::Micros now);
  /// A key was not found. @return whether that made the next fetch come earlier.
  bool keyUnknown(Clock::Micros now);
  /// Whether what was fetched may still be believed.
  bool fresh(Clock::Micros now) const noexcept;

 private:
  const JwksOptions& options_;
  Clock::Micros due_ = Clock::Micros::min();  ///< at once
  std::optional<Clock::Micros> fetched_{};    ///< the last success
  std::optional<Clock::Micros> tried_{};
  unsigned failures_ = 0;  ///< in a row
};

}  // namespace detail

struct Jwks::Impl {
  explicit Impl(JwksOptions given);

  struct Fetched {
    std::vector<JwtKey> keys{};
    std::optional<std::chrono::seconds> age{};
  };
  std::chrono::microseconds refresh(const std::stop_token& stop);
  Fetched fetch(const std::stop_token& stop);
  Fetched fetchUrl(const std::stop_token& stop);
  Fetched readFile() const;
  Fetched parse(std::string_view text, bool secrets) const;
  void run(const std::stop_token& stop);
  Clock::Micros now() const { return clock.steadyNow(); }

  const JwksOptions options;
  const Clock& clock;
  Scheduler& scheduler;
  std::mutex fetching;                   ///< one fetch at a time
  std::optional<http::Client> client{};  ///< guarded by `fetching`

  std::mutex mutex;
  detail::JwksSchedule schedule;              ///< guarded by mutex
  FixedJwtKeys keys{{}};                      ///< guarded by mutex
  JwksStatus status{};                        ///< guarded by mutex
  std::optional<std::stop_source> waiting{};  ///< guarded by mutex; ends the thread's wait
  std::jthread thread{};                      ///< last: it uses all others
};

}  // namespace tidegate::server
