/// The connection of a sink: one transaction at a time, never made again behind the sink's back.
#pragma once

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "postgres/detail/session.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

using SqlResult = std::unique_ptr<PGresult, void (*)(PGresult*)>;

/// A statement that the server refused: an Error with the SQLSTATE, for those who know what to do about some.
class SqlError : public Error {
 public:
  SqlError(const Error& what, std::string state) : Error(what), state_(std::move(state)) {}
  const std::string& state() const noexcept { return state_; }

 private:
  std::string state_;
};

class SinkConnection {
 public:
  explicit SinkConnection(ConnectOptions options);
  ~SinkConnection() { close(); }

  /// Connects anew. A requested stop cuts the connection from then on.
  /// @throws Error{connectionFailed, authenticationFailed, queryCancelled}
  void open(const std::stop_token& stop);
  void close() noexcept;
  bool isOpen() const noexcept { return session_ != nullptr; }

  /// Runs statements without parameters; the last one's result. @throws SqlError, Error{connectionFailed}
  SqlResult run(const std::string& sql);
  /// Runs one statement with parameters in text form; nullptr is null.
  SqlResult ask(const std::string& sql, const std::vector<std::optional<std::string>>& params);
  /// Prepares a statement. @return its name.
  std::string prepare(const std::string& sql, const std::vector<unsigned>& types);
  /// Runs a prepared statement with parameters in binary form.
  SqlResult runPrepared(const std::string& name, const std::vector<std::string>& params);

  /// Begins a transaction unless one is open.
  void begin();
  bool inTransaction() const noexcept { return inTransaction_; }
  /// @throws Error{…, Retry::outcomeUnknown} if the connection was lost before the answer came.
  void commit();
  void rollback() noexcept;
  /// Another statement timeout for the open transaction's next statements; 0: none.
  void limit(std::chrono::milliseconds timeout);

  void copyBegin(const std::string& sql);
  void copySend(std::string_view octets);
  /// @throws SqlError if the server refused the rows.
  void copyEnd();

  std::string user() const { return PQuser(raw()); }
  std::string database() const { return PQdb(raw()); }
  std::chrono::milliseconds statementTimeout() const { return options_.statementTimeout; }

 private:
  PGconn* raw() const;
  /// Takes over a result. @throws if it is none, or a failure.
  SqlResult checked(PGresult* result);
  [[noreturn]] void fail(const PGresult* result);

  ConnectOptions options_;
  std::stop_token stop_;
  std::unique_ptr<Session> session_;
  std::optional<StopGuard> guard_;
  std::uint64_t prepared_ = 0;
  bool inTransaction_ = false;
};

/// A cell of a result as text; empty for null.
std::string_view cell(const SqlResult& result, int row, int column);
bool cellIsTrue(const SqlResult& result, int row, int column);
/// Rows that the statement wrote.
std::uint64_t rowsWritten(const SqlResult& result);

}  // namespace tidegate::postgres::detail
