/// A connection beside the stream for two small things: to know when all that committed before the stream's beginning
/// is visible to snapshots, and to write a message into the log where nobody else writes.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "postgres/detail/async_link.h"

namespace tidegate::postgres::detail {

/// The log tells of a commit before other sessions see it: for a moment, or for as long as the transaction waits for a
/// synchronous standby. A snapshot taken for a stream that begins behind such a commit would lack it, and nobody would
/// tell of it again. So until every transaction that ran when we came has ended, or is seen to be far from its commit,
/// no snapshot is good. (Those that commit later are told by the stream, and so are known.)
class VisibilityGate {
 public:
  explicit VisibilityGate(const ConnectOptions& options) : link_(options) {}

  /// Begins anew: for a stream that begins at a place that somebody else has come to.
  void shut();
  bool open() const noexcept { return open_; }
  /// Asks for a message in the log, flushed, soon. Nothing if one is under way.
  void knock();
  /// Goes on without waiting. @throws Error; tried again at the next step.
  void step();

 private:
  enum class Asked { nothing, id, running, message };
  void ask();
  void answered();

  AsyncLink link_;
  Asked asked_ = Asked::nothing;
  bool open_ = false;
  bool knocked_ = false;
  std::uint64_t id_ = 0;  ///< all that ran when we came have lesser ones; 0: not known yet
  std::chrono::steady_clock::time_point shutAt_{}, askAgain_{};
};

}  // namespace tidegate::postgres::detail
