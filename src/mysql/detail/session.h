/// One connection of a query function: made when needed, set up, watched, dropped when in doubt.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <unordered_set>

#include "mysql/detail/options.h"

namespace sql {
class Connection;
}

namespace tidegate::mysql::detail {

class Session {
 public:
  /// @throws Error{invalidConfig}
  explicit Session(ConnectOptions options);

  /// Connects if there is no live connection, and sets the statement timeout (0: the options').
  /// @throws Error{connectionFailed, authenticationFailed, queryCancelled}
  void prepare(std::chrono::milliseconds timeout, const std::stop_token& stop);
  /// Shared with results that are still being read.
  const std::shared_ptr<sql::Connection>& connection() const { return connection_; }
  void drop() noexcept;
  /// Ends this connection and what it runs, from a second connection. Callable from any thread, also after `drop`.
  /// KILL, not KILL QUERY: that could arrive between two statements and would be lost.
  std::function<void()> killer() const;

  bool streaming = false;                          ///< a row stream holds the connection
  std::string preparedSql{};                       ///< what the server-side statement `tidegate_query` holds
  std::unordered_set<std::string> withoutFloat{};  ///< queries whose results had no FLOAT column when last seen

 private:
  void connect();
  void configure();
  bool idleAndAlive() noexcept;
  void run(const std::string& statement);
  std::string ask(const std::string& statement, std::uint32_t column);
  void setTimeout(std::chrono::milliseconds timeout);

  ConnectOptions options_;
  std::shared_ptr<sql::Connection> connection_;
  std::uint64_t id_ = 0;
  bool mariaDb_ = false;
  std::chrono::milliseconds timeoutSet_{-1};
  std::chrono::milliseconds readTimeout_{0};  ///< 0: none
  std::chrono::steady_clock::time_point lastUsed_{};
};

/// While it lives, a requested stop kills the connection.
class StopGuard {
 public:
  StopGuard(const std::stop_token& stop, const Session& session) : callback_(stop, session.killer()) {}

 private:
  std::stop_callback<std::function<void()>> callback_;
};

}  // namespace tidegate::mysql::detail
