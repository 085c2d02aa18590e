/// What goes with every request of a durable streams client: headers and parameters, fixed or computed, and retries.
#pragma once

#include <array>
#include <chrono>
#include <concepts>
#include <functional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace tidegate::durable_streams {

/// A header's or a parameter's value: a text, or a function that is asked for each request that is sent, retries and
/// reconnections included. So a token that was renewed is used at once.
/// @thread A value type; a function is called on the thread that sends. What it throws reaches the caller, and nothing
/// was sent.
class RequestValue {
 public:
  RequestValue(std::string text) : text_(std::move(text)) {}
  RequestValue(const char* text) : text_(text) {}
  template <class Function>
  requires std::is_invocable_r_v<std::string, Function&> RequestValue(Function ask) : ask_(std::move(ask)) {}

  std::string operator()() const { return ask_ ? ask_() : text_; }

 private:
  std::string text_;
  std::function<std::string()> ask_;
};

/// Names and values, in order. A later one replaces an earlier one of its name.
using RequestFields = std::vector<std::pair<std::string, RequestValue>>;

/// When a request is sent again: after a connection that could not be made or broke, and after `statuses`. A plain
/// append whose outcome is unknown is never repeated; one with a `WriteStamp`, and everything a `Producer` sends, is.
struct RetryOptions {
  unsigned maxRetries = 8;  ///< after the first attempt; at most 1,000
  std::chrono::milliseconds initialDelay{100};
  std::chrono::milliseconds maxDelay{30'000};  ///< also the most that a `Retry-After` is obeyed
  double multiplier = 2.0;                     ///< of the delay, for each further retry; a random half of it is jitter
  std::array<int, 8> statuses{429, 500, 502, 503, 504};  ///< 0: none

  /// @throws Error{invalidConfig} naming the member: initialDelay <= 0, maxDelay < initialDelay, multiplier < 1.
  void validate() const;
};

}  // namespace tidegate::durable_streams
