/// One thread's event loop: its connections, timers and ready exchanges.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "http/detail/asio.h"
#include "http/detail/exchange.h"
#include "http/detail/response_head.h"
#include "http/detail/server_context.h"

namespace tidegate::http::detail {

class Connection;

/// @thread The loop's own, but for `io`, `add` and `counters`.
class Loop final : public ReadyQueue, public std::enable_shared_from_this<Loop> {
 public:
  struct TimerEntry {
    Connection* connection;
    Exchange::Callback then;
  };
  using Timers = std::multimap<SteadyTime, TimerEntry>;

  explicit Loop(ServerContext& server);
  ~Loop() override;

  asio::io_context& io() noexcept { return io_; }
  Counters& counters() noexcept { return counters_; }
  DateField& date() noexcept { return date_; }
  ServerContext& server() noexcept { return server_; }

  /// Serves until `finish`.
  void run();
  /// Takes a connected socket.
  void adopt(Tcp::socket socket, std::shared_ptr<SSL_CTX> tls, AddressPlaces::Place place);
  void remove(Connection& connection);
  Timers::iterator addTimer(SteadyTime when, TimerEntry entry);
  void removeTimer(Timers::iterator timer) { timers_.erase(timer); }
  /// Ends what is idle; the rest ends with its answer.
  void drain();
  /// Ends everything, and `run`.
  void finish();

 private:
  void wake() override;
  /// Looks for events instead of sleeping, where the last sleep was short. @return whether some came
  bool spin();
  void sleep();
  void advanceReady();
  void arm(SteadyTime when);
  void tick();
  void fireTimers(SteadyTime now);
  void sweep(SteadyTime now);

  ServerContext& server_;
  const std::chrono::milliseconds sweepEvery_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  asio::steady_timer timer_;
  SteadyTime armedFor_ = SteadyTime::max();
  SteadyTime nextSweep_ = SteadyTime::max();
  Timers timers_{};
  std::vector<std::shared_ptr<Connection>> connections_{};
  std::vector<std::shared_ptr<Exchange>> ready_{};
  DateField date_{};
  Counters counters_{};
  bool spins_ = false;
};

/// Runs what a user gave. What it throws is logged: there is nobody to tell.
void runGuarded(const Exchange::Callback& callback) noexcept;

}  // namespace tidegate::http::detail
