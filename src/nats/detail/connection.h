/// One connection to NATS: RAII around cnats, whose failures become Errors here and nowhere else.
#pragma once

#include <nats/nats.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/nats/connect_options.h"

namespace tidegate::nats::detail {

struct MsgDeleter {
  void operator()(natsMsg* msg) const noexcept { natsMsg_Destroy(msg); }
};
using Msg = std::unique_ptr<natsMsg, MsgDeleter>;

/// A header's name must outlive the message it is given to; its text is copied.
struct Header {
  const char* name = "";
  std::string value{};
};

std::string_view bodyOf(const natsMsg* msg);
/// Empty where there is none.
std::string_view headerOf(natsMsg* msg, const char* name);
/// The number of the status line ("404", "408", "503"); empty: a message like any other.
std::string_view statusOf(natsMsg* msg);
Msg makeMsg(const std::string& subject, const char* reply, const std::vector<Header>& headers, std::string_view body);

/// Whether a request changed something where no answer came.
enum class Effect { none, possible };

/// Ends a subscription once no thread of cnats has it in hand.
void endSubscription(natsConnection* connection, natsSubscription* sub) noexcept;

/// A synchronous subscription. The connection must outlive it.
/// @thread One at a time.
class Subscription {
 public:
  Subscription() = default;
  Subscription(natsConnection* connection, natsSubscription* sub) : connection_(connection), sub_(sub) {}
  Subscription(Subscription&& other) noexcept
      : connection_(other.connection_), sub_(std::exchange(other.sub_, nullptr)) {}
  Subscription& operator=(Subscription&& other) noexcept {
    std::swap(connection_, other.connection_);
    std::swap(sub_, other.sub_);
    return *this;
  }
  ~Subscription() { endSubscription(connection_, sub_); }

  /// null: nothing came. @throws Error{connectionFailed} where the connection is gone.
  Msg next(std::chrono::milliseconds timeout);

 private:
  natsConnection* connection_ = nullptr;
  natsSubscription* sub_ = nullptr;
};

/// @thread Requests and publishing: any. `Subscription`s: one each.
class Connection {
 public:
  struct Behaviour {
    bool reconnects = true;               ///< false: a broken connection stays broken
    bool sendsAtOnce = false;             ///< what is published does not wait for more: for few, large messages
    std::function<void()> onReconnect{};  ///< on a thread of cnats
  };
  /// @throws Error{invalidConfig, connectionFailed, authenticationFailed}
  explicit Connection(const ConnectOptions& options) : Connection(options, Behaviour{}) {}
  Connection(const ConnectOptions& options, Behaviour behaviour);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  const ConnectOptions& options() const noexcept { return options_; }
  const Clock& clock() const noexcept;
  Scheduler& scheduler() const noexcept;
  /// Octets of one message, headers included.
  std::size_t maxPayload() const;
  bool isUp() const;
  /// How often it broke and was made anew: what a server had sent by then may be lost.
  std::uint64_t timesReconnected() const noexcept { return reconnected_.load(); }

  /// One request, one answer.
  /// @param what for messages, e.g. "making stream \"S\"".
  /// @throws Error{connectionFailed, Retry::later} where nobody is responsible, and where no answer came of a request
  ///         without effect; Retry::outcomeUnknown of one with.
  Msg request(const std::string& subject, std::string_view body, Effect effect, const std::string& what);
  Msg request(natsMsg* msg, Effect effect, const std::string& what);
  /// Sent some time later, unless `flush` follows.
  void publish(natsMsg* msg);
  void publish(const std::string& subject, const std::string& reply, std::string_view body);
  /// Sends what was published. A broken connection shows itself by the answers that do not come.
  void flush() noexcept;
  /// The same, but nothing where messages are sent at once.
  void hurry() noexcept {
    if (!sendsAtOnce_) flush();
  }
  Subscription subscribe(const std::string& subject);
  /// A subject of its own, below which answers can be told apart.
  static std::string freshInbox();

  /// Repeats `work` while it fails with Retry::later and `connectionFailed`, up to `retryFor`.
  void patiently(const std::stop_token& stop, const std::function<void()>& work);
  /// Waits a little between two tries. @return false: stopped, or `since` (a steady time) lies over `retryFor` back.
  bool waitForRetry(std::chrono::microseconds since, unsigned tries, const std::stop_token& stop);

  natsConnection* raw() const noexcept { return connection_; }
  /// What the server last complained of without being asked; empty if nothing.
  std::string complaint() const;

 private:
  static void onError(natsConnection* nc, natsSubscription* sub, natsStatus status, void* self);
  static void onReconnected(natsConnection* nc, void* self);
  static void onClosed(natsConnection* nc, void* self);
  void configure(natsOptions* options, const Behaviour& behaviour);
  void forgetComplaints();
  bool wasRefused(const std::string& subject) const;

  const ConnectOptions options_;
  const std::function<void()> onReconnect_;
  const bool sendsAtOnce_;
  natsConnection* connection_ = nullptr;
  std::atomic<std::uint64_t> reconnected_{0};
  mutable std::mutex mutex_;
  std::string complaint_;  ///< guarded by mutex_
  std::string refusal_;    ///< guarded by mutex_: the last complaint that was of permissions
  bool closed_ = false;    ///< guarded by mutex_: cnats is done with us
  std::condition_variable changed_;
};

/// Turns a status into an Error. `text`: more that cnats knows, redacted here.
[[noreturn]] void throwStatus(natsStatus status, Effect effect, const std::string& what, std::string_view text = {});

/// The same for a connection that did not come about: says which option to look at.
[[noreturn]] void throwConnectFailure(const ConnectOptions& options, natsStatus status, const std::string& cause);

}  // namespace tidegate::nats::detail
