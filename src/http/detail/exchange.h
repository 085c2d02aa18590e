/// One request and its answer, between the thread that answers and the thread that owns the connection.
///
/// The answering side may be any thread: it leaves what it has to say here, and puts the exchange into its loop's ready
/// queue once, however much it says. The connection's side runs on the loop's thread and takes it out.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/http/server.h"

namespace tidegate::http {

namespace detail {

class Connection;
class Upgraded;

/// Exchanges that have something to say, of one loop. Adding to it wakes the loop's thread once a burst.
/// @thread Any.
class ReadyQueue {
 public:
  virtual ~ReadyQueue() = default;
  /// @return false where it is closed.
  bool add(std::shared_ptr<Exchange> exchange);
  /// All that is there; the next `add` wakes again.
  void take(std::vector<std::shared_ptr<Exchange>>& into);
  /// Nothing is taken from now on; what is there is lost.
  void close();

 private:
  virtual void wake() = 0;

  std::mutex mutex_;
  std::vector<std::shared_ptr<Exchange>> ready_;
  bool closed_ = false;
};

}  // namespace detail

/// @thread The first group of functions from any, the second on the loop's alone.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  using Callback = std::function<void()>;
  using Timer = std::pair<std::chrono::steady_clock::time_point, Callback>;

  Exchange(std::shared_ptr<detail::ReadyQueue> queue, detail::Connection* connection)
      : queue_(std::move(queue)), connection_(connection) {}

  /// @return false where there is an answer already.
  bool send(Response&& response);
  void beginStream(int status, Headers&& headers);
  /// Answers 101: from here on `reader` gets what comes, and what is written goes out as it is.
  void upgrade(Headers&& headers, std::shared_ptr<detail::Upgraded> reader);
  std::size_t write(std::string&& octets);
  std::size_t pending() const;
  void end();
  void abort();
  void onDrained(Callback then);
  void onGone(Callback then);
  void after(std::chrono::milliseconds delay, Callback then);
  void post(Callback then);
  /// The responder was destroyed.
  void abandon();

  /// What the answering side has left since the last time.
  struct Work {
    std::optional<Response> response{};
    bool streamBegins = false;
    std::shared_ptr<detail::Upgraded> upgraded{};
    std::vector<std::string> pieces{};
    std::vector<Callback> posted{};
    std::vector<Timer> timers{};
    bool ended = false;
    bool aborted = false;
    Callback gone{};
  };
  Work take();
  detail::Connection* connection() const noexcept { return connection_; }
  /// From here to `take`, nothing is put into the queue: the connection looks by itself.
  void hold();
  /// Octets of this answer that the connection still has.
  void holds(std::size_t octets) noexcept { held_.store(octets, std::memory_order_relaxed); }
  bool streaming() const;
  /// Whether an answer is still to come, and somebody wants to hear that the peer has gone. A peer that has only said
  /// all it will reads an answer that is there.
  bool watched() const;
  Callback drained() const;
  /// The answer is whole, and sent as far as anyone can tell.
  void finish();
  /// The peer has gone. @return what is to be called.
  Callback leave();
  /// Nothing of this will be taken again. @thread Any.
  void lose();

 private:
  enum class Phase { waiting, answered, streaming, ended, gone };
  bool over() const noexcept { return phase_ == Phase::ended || phase_ == Phase::gone; }
  void schedule();
  void close(Phase phase, Callback& gone);

  const std::shared_ptr<detail::ReadyQueue> queue_;
  detail::Connection* connection_;  ///< the loop's thread alone
  std::atomic<std::size_t> held_{0};

  mutable std::mutex mutex_;  ///< guards what follows
  Phase phase_ = Phase::waiting;
  bool scheduled_ = false;
  bool abandoned_ = false;
  bool lost_ = false;       ///< the loop has ended
  bool finishing_ = false;  ///< `end` or `abort` was called
  std::size_t queued_ = 0;  ///< octets in `work_.pieces`
  Work work_{};
  Callback onDrained_{};
  Callback onGone_{};
};

}  // namespace tidegate::http
