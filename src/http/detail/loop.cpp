#include "http/detail/loop.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <thread>

#include "http/detail/connection.h"
#include "tidegate/core/error.h"

namespace tidegate::http::detail {
namespace {

/// Deadlines are kept coarsely: a quarter of the shortest limit, between 5 and 250 ms.
std::chrono::milliseconds sweepInterval(const Limits& limits) {
  const auto shortest =
      std::min({limits.headerTimeout, limits.bodyTimeout, limits.idleTimeout, limits.writeTimeout}) / 4;
  return std::clamp(shortest, std::chrono::milliseconds(5), std::chrono::milliseconds(250));
}

}  // namespace

void runGuarded(const Exchange::Callback& callback) noexcept {
  if (!callback) return;
  try {
    callback();
  } catch (const std::exception& e) {
    spdlog::error("http: a callback threw: {}", redactSecrets(e.what()));
  } catch (...) {
    spdlog::error("http: a callback threw what is no std::exception");
  }
}

Loop::Loop(ServerContext& server)
    : server_(server), sweepEvery_(sweepInterval(server.options.limits)), work_(io_.get_executor()), timer_(io_) {}

Loop::~Loop() = default;

void Loop::run() {
  while (!io_.stopped()) {
    try {
      if (io_.poll() == 0 && !spin()) sleep();
    } catch (const std::exception& e) {  // no memory: one connection's event is lost, the others go on
      spdlog::critical("http: an event was lost: {}", redactSecrets(e.what()));
    }
  }
}

bool Loop::spin() {
  if (!spins_) return false;
  const SteadyTime end = std::chrono::steady_clock::now() + server_.options.spin;
  do {
    std::this_thread::yield();
    if (io_.poll() != 0) return true;
  } while (!io_.stopped() && std::chrono::steady_clock::now() < end);
  return false;
}

void Loop::sleep() {
  const SteadyTime begun = std::chrono::steady_clock::now();
  io_.run_one();
  spins_ = std::chrono::steady_clock::now() - begun < server_.options.spin;
}

void Loop::wake() {
  asio::post(io_, [this] { advanceReady(); });
}

void Loop::advanceReady() {
  take(ready_);
  for (std::shared_ptr<Exchange>& exchange : ready_) {
    if (Connection* connection = exchange->connection()) {
      const auto keep = connection->shared_from_this();
      connection->advance(exchange);
    } else {
      runGuarded(exchange->take().gone);
    }
    exchange.reset();
  }
}

void Loop::adopt(Tcp::socket socket, std::shared_ptr<SSL_CTX> tls, AddressPlaces::Place place) {
  Counters::add<std::uint64_t>(counters_.connections);
  auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(tls), std::move(place));
  connection->slot = connections_.size();
  connections_.push_back(connection);
  if (nextSweep_ == SteadyTime::max()) {
    nextSweep_ = std::chrono::steady_clock::now() + sweepEvery_;
    arm(nextSweep_);
  }
  connection->start();
  if (server_.draining) connection->drain();  // it came after the others had been told
}

void Loop::remove(Connection& connection) {
  const std::size_t slot = connection.slot;
  std::swap(connections_[slot], connections_.back());
  connections_[slot]->slot = slot;
  connections_.pop_back();
  if (server_.open.fetch_sub(1) == 1) {
    const std::lock_guard lock(server_.mutex);
    server_.emptied.notify_all();
  }
}

Loop::Timers::iterator Loop::addTimer(SteadyTime when, TimerEntry entry) {
  const auto at = timers_.emplace(when, std::move(entry));
  arm(when);
  return at;
}

void Loop::arm(SteadyTime when) {
  if (when >= armedFor_) return;
  armedFor_ = when;
  timer_.expires_at(when);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) tick();
  });
}

void Loop::tick() {
  armedFor_ = SteadyTime::max();
  const SteadyTime now = std::chrono::steady_clock::now();
  fireTimers(now);
  if (now >= nextSweep_) sweep(now);
  const SteadyTime next = timers_.empty() ? nextSweep_ : std::min(nextSweep_, timers_.begin()->first);
  if (next != SteadyTime::max()) arm(next);
}

void Loop::fireTimers(SteadyTime now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto keep = timers_.begin()->second.connection->shared_from_this();
    const Exchange::Callback then = std::move(timers_.begin()->second.then);
    keep->forgetTimer(timers_.begin());
    timers_.erase(timers_.begin());
    keep->runForExchange(then);
  }
}

void Loop::sweep(SteadyTime now) {
  std::vector<std::shared_ptr<Connection>> expired;
  for (const auto& connection : connections_) {
    if (connection->deadline() <= now) expired.push_back(connection);
  }
  for (const auto& connection : expired) connection->expire();
  nextSweep_ = connections_.empty() ? SteadyTime::max() : now + sweepEvery_;
}

void Loop::drain() {
  const std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) connection->drain();
}

void Loop::finish() {
  const std::vector<std::shared_ptr<Connection>> all = connections_;
  for (const auto& connection : all) connection->cut();
  close();
  timer_.cancel();
  work_.reset();
  io_.stop();
}

}  // namespace tidegate::http::detail
