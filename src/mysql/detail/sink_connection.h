/// The connection of a sink: one transaction at a time, never made again behind the sink's back.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "mysql/detail/session.h"
#include "tidegate/core/error.h"
#include "tidegate/core/query.h"

namespace sql {
class PreparedStatement;
}

namespace tidegate::mysql::detail {

inline std::string quoted(std::string_view identifier) { return quoteIdentifier(Dialect::mysql, identifier); }

/// Cells as text; nullopt is NULL.
using TextRows = std::vector<std::vector<std::optional<std::string>>>;

class SinkConnection {
 public:
  /// @param silence how long a server that says nothing is waited for; 0: for ever.
  SinkConnection(ConnectOptions options, std::chrono::milliseconds silence);
  ~SinkConnection() { close(); }

  /// Connects anew. A requested stop kills the connection from then on.
  void open(const std::stop_token& stop);
  void close() noexcept;
  bool isOpen() const noexcept { return session_ != nullptr; }
  bool isMariaDb() const noexcept { return mariaDb_; }
  /// The collation in which texts are equal only if they are the same.
  const char* exactCollation() const noexcept { return mariaDb_ ? "utf8mb4_nopad_bin" : "utf8mb4_0900_bin"; }

  /// Runs a statement without parameters. @return rows written.
  std::uint64_t run(const std::string& sql);
  TextRows ask(const std::string& sql, const std::vector<std::string>& params = {});
  /// Writes with text parameters. @return rows written.
  std::uint64_t write(const std::string& sql, const std::vector<Value>& params);
  std::unique_ptr<sql::PreparedStatement> prepare(const std::string& sql);
  /// Executes and marks the transaction as holding data. @return rows written.
  std::uint64_t execute(sql::PreparedStatement& statement);

  void begin();
  /// Whether the open transaction has written anything: then a DDL statement would commit half a unit.
  bool dirty() const noexcept { return dirty_; }
  /// Runs a DDL statement outside of any transaction.
  /// @throws Error{queryFailed, Retry::later} if the unit had to be given up for it: it may then begin again.
  void define(const std::string& sql);
  /// @throws Error{…, Retry::outcomeUnknown} if the connection was lost before the answer came.
  void commit();
  void rollback() noexcept;
  /// Another statement timeout; 0: none.
  void limit(std::chrono::milliseconds timeout);

  const ConnectOptions& options() const { return options_; }
  const std::string& database() const { return database_; }
  std::uint64_t maxPacket() const { return maxPacket_; }
  std::string account();

 private:
  template <class Work>
  auto guarded(Work&& work);
  sql::Connection& raw() const;

  ConnectOptions options_;
  std::string database_;
  std::chrono::milliseconds silence_;
  std::stop_token stop_;
  std::unique_ptr<Session> session_;
  std::optional<StopGuard> guard_;
  std::uint64_t maxPacket_ = 0;
  bool mariaDb_ = false;
  bool inTransaction_ = false;
  bool dirty_ = false;
};

}  // namespace tidegate::mysql::detail
