/// A connection whose owner never waits for it: it is asked to step on, now and then, by a thread that has other work.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "postgres/detail/options.h"
#include "postgres/detail/sql.h"

namespace tidegate::postgres::detail {

class AsyncLink {
 public:
  explicit AsyncLink(const ConnectOptions& options);

  enum class State {
    closed,
    connecting,
    ready,    ///< for `send`
    busy,     ///< a statement runs
    copying,  ///< rows of a COPY can be taken
    done      ///< the statements sent have ended: `takeResults`
  };
  State state() const { return state_; }
  PGconn* raw() { return connection_.get(); }
  bool trustedEncoding() const { return trustedEncoding_; }

  /// Begins to connect. @throws Error{connectionFailed}
  void open();
  void close() noexcept;
  /// Sends one or more statements, in `ready`.
  void send(const std::string& sql);
  /// Goes on as far as it can without waiting. @throws Error; the link is then closed.
  void step();
  /// In `copying`: the next row's message, whole; nullopt if none has arrived. At the end of the COPY the state is busy
  /// or done.
  std::optional<std::string_view> nextMessage();
  /// In `done`: what the statements returned, in their order; `ready` then.
  std::vector<OwnedResult> takeResults();

 private:
  void stepConnecting();
  void stepRunning();
  [[noreturn]] void fail(const PGresult* result);

  Keywords keywords_;
  std::chrono::milliseconds connectTimeout_;
  std::chrono::steady_clock::time_point deadline_{};
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_{nullptr, PQfinish};
  State state_ = State::closed;
  PostgresPollingStatusType wanted_ = PGRES_POLLING_WRITING;
  bool trustedEncoding_ = true;
  std::vector<OwnedResult> results_;
  std::unique_ptr<char, void (*)(void*)> message_{nullptr, PQfreemem};
};

}  // namespace tidegate::postgres::detail
