/// Lets `stop()` leave a poll behind that hangs in a query, without ever leaving behind one that runs our own code or
/// the host's.
///
/// A poll is either *running* (our code, the gateway, a store, a callback) or *querying* (inside the query function).
/// Each crossing is one compare-and-swap. `abandon` turns a querying poll into an abandoned one; when its query returns
/// at last, the crossing back fails and the poll unwinds by `PollAbandoned`, touching nothing of the host. A running
/// poll is waited for: it ends at its next crossing.
#pragma once

#include <atomic>

namespace tidegate::detail {

/// Unwinds an abandoned poll. Not an Error: nobody is to report it.
struct PollAbandoned {};

/// @thread enter, leave and finish: the polling thread. abandon: any other.
class PollGuard {
 public:
  /// @throws PollAbandoned if the poll is to end.
  void enterQuery() {
    if (!tryEnterQuery()) throw PollAbandoned{};
  }
  /// @throws PollAbandoned if the poll was left behind meanwhile.
  void leaveQuery() {
    if (!tryLeaveQuery()) throw PollAbandoned{};
  }
  bool tryEnterQuery() noexcept {
    State expected = State::running;
    if (state_.compare_exchange_strong(expected, State::querying)) return true;
    if (expected == State::ending) settle(State::abandoned);
    return false;
  }
  bool tryLeaveQuery() noexcept {
    State expected = State::querying;
    return state_.compare_exchange_strong(expected, State::running);
  }
  /// @throws PollAbandoned if the poll was left behind: to be asked before the host is touched after a failed query.
  void check() const {
    if (state_.load() == State::abandoned) throw PollAbandoned{};
  }
  /// The poll is over, unless it was left behind.
  void finish() noexcept {
    State now = state_.load();
    while (now != State::abandoned && !state_.compare_exchange_weak(now, State::finished)) {
    }
    state_.notify_all();
  }

  /// Returns once the poll is over or was left inside a query. @return whether it was left behind.
  bool abandon() noexcept {
    State now = state_.load();
    for (;;) {
      if (now == State::finished) return false;
      if (now == State::abandoned) return true;
      const State next = now == State::querying ? State::abandoned : State::ending;
      if (now != next && !state_.compare_exchange_strong(now, next)) continue;
      if (next == State::ending) state_.wait(State::ending);
      now = state_.load();
    }
  }

 private:
  enum class State { running, querying, ending, abandoned, finished };
  void settle(State state) noexcept {
    state_.store(state);
    state_.notify_all();
  }
  std::atomic<State> state_{State::running};
};

}  // namespace tidegate::detail
