/// The states of a source, and the machine that allows only the steps that make sense.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace tidegate {

/// ```
///  CONNECTING -> CONNECTED -> STREAMING <-> PAUSED
///      ^  |          |            |            |
///      |  v          v            v            v
///     ERROR <---- RECONNECTING <---------------+       any -> CLOSED
/// ```
enum class SourceState {
  connecting,    ///< from the start, until the first connection stands
  connected,     ///< connected and not streaming: validating, reading a baseline
  streaming,     ///< delivering changes
  reconnecting,  ///< the connection broke; trying again with back-off
  paused,        ///< `pause` was called: keeps its place, delivers nothing
  error,         ///< gave up; `stream` may be called again and then connects anew
  closed         ///< for good
};

/// "CONNECTING", …, "CLOSED".
std::string_view toString(SourceState state) noexcept;

/// One step.
struct SourceStateChange {
  SourceState from = SourceState::connecting;
  SourceState to = SourceState::connecting;
  std::string reason{};  ///< one line; no secret
};

/// Holds the state and refuses illegal steps.
/// @thread Any. The listener is called outside the lock, in the order of the steps of each thread.
class SourceStateMachine {
 public:
  using Listener = std::function<void(const SourceStateChange&)>;
  explicit SourceStateMachine(Listener listener = {}) : listener_(std::move(listener)) {}

  void setListener(Listener listener);
  SourceState state() const;
  /// Goes to `next` and tells the listener. A step to the state it is in is no step.
  /// @throws Error{internal} for a step the machine does not have, naming both states.
  void to(SourceState next, std::string reason);
  /// Whether the machine has that step.
  static bool allowed(SourceState from, SourceState to) noexcept;

 private:
  mutable std::mutex mutex_;
  SourceState state_ = SourceState::connecting;  ///< guarded by mutex_
  Listener listener_;
};

}  // namespace tidegate
