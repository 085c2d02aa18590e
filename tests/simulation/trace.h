/// What happened, one line an event, and what went wrong first.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

#include "simulation/sim_clock.h"

namespace tidegate::sim {

/// A check of the oracle that did not hold. Ends the run.
struct CheckFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Every event of a run: hashed always, printed or kept in a ring as asked.
class Trace {
 public:
  Trace(const SimClock& clock, bool print) : clock_(clock), print_(print) {}

  template <class... Args>
  void line(std::string_view actor, fmt::format_string<Args...> text, Args&&... args) {
    text_.clear();
    const auto micros = clock_.steadyNow().count();
    fmt::format_to(std::back_inserter(text_), "{:>9}.{:03} {:<9} ", micros / 1000, micros % 1000, actor);
    fmt::format_to(std::back_inserter(text_), text, std::forward<Args>(args)...);
    add();
  }
  /// A line that is only printed: neither hashed nor kept.
  template <class... Args>
  void detail(fmt::format_string<Args...> text, Args&&... args) const {
    if (print_) fmt::print("{:>23} {}\n", "", fmt::format(text, std::forward<Args>(args)...));
  }
  bool printing() const noexcept { return print_; }
  /// Notes the first failed check and ends the run. The note stays even if somebody catches the exception.
  [[noreturn]] void fail(std::string_view check, const std::string& detail);

  const std::optional<std::string>& failure() const noexcept { return failure_; }
  /// Throws again if a check failed inside code that swallowed the exception.
  void rethrow() const {
    if (failure_) throw CheckFailed(*failure_);
  }
  std::uint64_t hash() const noexcept { return hash_; }
  std::uint64_t lines() const noexcept { return lines_; }
  /// The newest lines, oldest first.
  const std::deque<std::string>& tail() const noexcept { return tail_; }

 private:
  void add();

  static constexpr std::size_t kTailLines = 60;
  const SimClock& clock_;
  const bool print_;
  std::string text_;
  std::deque<std::string> tail_;
  std::optional<std::string> failure_;
  std::uint64_t hash_ = 0xCBF29CE484222325u;
  std::uint64_t lines_ = 0;
};

}  // namespace tidegate::sim
