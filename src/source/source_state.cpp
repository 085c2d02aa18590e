#include "tidegate/source/source_state.h"

#include "tidegate/core/error.h"

namespace tidegate {

std::string_view toString(SourceState state) noexcept {
  switch (state) {
    case SourceState::connecting:
      return "CONNECTING";
    case SourceState::connected:
      return "CONNECTED";
    case SourceState::streaming:
      return "STREAMING";
    case SourceState::reconnecting:
      return "RECONNECTING";
    case SourceState::paused:
      return "PAUSED";
    case SourceState::error:
      return "ERROR";
    case SourceState::closed:
      return "CLOSED";
  }
  return "?";
}

bool SourceStateMachine::allowed(SourceState from, SourceState to) noexcept {
  using enum SourceState;
  if (from == closed) return false;
  if (to == closed) return true;
  switch (from) {
    case connecting:
      return to == connected || to == error;
    case connected:
      return to == streaming || to == paused || to == reconnecting || to == error;
    case streaming:
    case paused:
      return to == connected || to == streaming || to == paused || to == reconnecting || to == error;
    case reconnecting:
      return to == connected || to == paused || to == error;
    case error:
      return to == connecting || to == reconnecting;
    case closed:
      return false;
  }
  return false;
}

void SourceStateMachine::setListener(Listener listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

SourceState SourceStateMachine::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

void SourceStateMachine::to(SourceState next, std::string reason) {
  Listener listener;
  SourceStateChange change;
  {
    const std::lock_guard lock(mutex_);
    if (next == state_) return;
    if (!allowed(state_, next)) {
      throw Error(ErrorCode::internal, Retry::never,
                  "a source may not go from " + std::string(toString(state_)) + " to " + std::string(toString(next)) +
                      " (" + reason + ")");
    }
    change = {state_, next, std::move(reason)};
    state_ = next;
    listener = listener_;
  }
  if (listener) listener(change);
}

}  // namespace tidegate
