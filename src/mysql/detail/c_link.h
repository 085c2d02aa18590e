/// One connection by the C API (libmariadb): for the binlog, and for what is asked beside it.
#pragma once

#include <mysql.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/mysql/query_fn.h"

namespace tidegate::mysql::detail {

using Cell = std::optional<std::string>;
using Cells = std::vector<std::vector<Cell>>;

/// @thread One at a time, but `interrupt`.
class CLink {
 public:
  /// Connects, and sets the session as every session of this driver is set: UTC, utf8mb4, a fixed sql_mode.
  /// @param options resolved. @param silence how long the server may say nothing; 0: for ever.
  /// @throws Error{connectionFailed, authenticationFailed, queryCancelled}
  CLink(const ConnectOptions& options, std::chrono::milliseconds silence, const std::stop_token& stop);
  ~CLink();
  CLink(const CLink&) = delete;
  CLink& operator=(const CLink&) = delete;

  /// Runs a statement and gives all its rows. @throws Error
  Cells ask(const std::string& sql);
  /// The first cell of the first row; empty where there is none.
  std::string askText(const std::string& sql);
  void run(const std::string& sql) { ask(sql); }
  /// Sends a statement and does not wait; `readResult` once something can be read. @throws Error
  void send(const std::string& sql);
  /// The statement's rows, to be fetched one by one; null: it has none. @throws Error
  MYSQL_RES* readResult();
  /// Whether octets are here that the library has read and nobody has asked for.
  bool cached() const noexcept;
  /// Whether something can be read without waiting. Over an encrypted connection it may be so and not be seen.
  bool readable() noexcept;

  MYSQL* raw() noexcept { return handle_.get(); }
  bool isMariaDb() const noexcept { return mariaDb_; }
  std::uint64_t id() const noexcept { return id_; }
  bool encrypted() const noexcept { return encrypted_; }
  int socket() noexcept;
  /// Makes whatever waits for the server fail. @thread Any, while the object lives.
  void interrupt() noexcept;
  /// What the library last failed with. @throws Error, always.
  [[noreturn]] void fail();

 private:
  struct Close {
    void operator()(MYSQL* handle) const noexcept { mysql_close(handle); }
  };
  std::unique_ptr<MYSQL, Close> handle_;
  bool mariaDb_ = false;
  bool encrypted_ = false;
  std::uint64_t id_ = 0;
};

/// While it lives, a requested stop interrupts the link.
class LinkGuard {
 public:
  LinkGuard(const std::stop_token& stop, CLink& link) : callback_(stop, [&link] { link.interrupt(); }) {}

 private:
  std::stop_callback<std::function<void()>> callback_;
};

/// 'it''s' as a literal of a session of this driver.
std::string literal(std::string_view text);

}  // namespace tidegate::mysql::detail
