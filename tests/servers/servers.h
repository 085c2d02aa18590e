/// The two private servers behind one face, for tests that hold for both.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "servers/support.h"
#include "tidegate/core/query.h"

namespace tidegate::servers {

/// How a test wants to connect; what it leaves empty is the harness's.
struct Access {
  bool readOnly = true;
  std::chrono::milliseconds statementTimeout{60'000};
  std::chrono::milliseconds connectTimeout{5'000};
  std::string user{}, password{}, database{};
  /// Over TCP, to this host name; empty: the unix socket.
  std::string host{};
  std::uint16_t port = 0;  ///< 0: the server's
  enum class Tls { off, verifyFull, requireUnverified } tls = Tls::off;
  std::string caFile{};
};

/// One of the servers.
class Server {
 public:
  explicit Server(std::string name) : name_(std::move(name)) {}

  const std::string& name() const { return name_; }
  bool isPostgres() const { return name_ == "postgres"; }
  Dialect dialect() const { return isPostgres() ? Dialect::postgres : Dialect::mysql; }
  QueryFn connect(const Access& access = {}) const;
  /// A connection that may write.
  QueryFn writer() const { return connect({.readOnly = false}); }
  void control(std::string_view action) const { servers::control(name_, action); }

  std::string quoted(std::string_view identifier) const { return quoteIdentifier(dialect(), identifier); }
  std::string mark(std::size_t oneBased) const { return placeholder(dialect(), oneBased); }
  /// A statement that runs for a minute and carries `marker`.
  std::string sleeping(const std::string& marker) const;
  /// Many rows, each of which takes the server about 5 ms; it carries `marker`.
  std::string slowRows(const std::string& marker) const;
  /// `count` rows of one column `n`, counted from 1.
  std::string numbers(std::size_t count) const;
  /// Statements that run now and carry `marker`.
  std::size_t running(const QueryFn& admin, const std::string& marker) const;
  /// Cancels the statement, or ends the connection, that carries `marker`.
  void cancel(const QueryFn& admin, const std::string& marker) const;

 private:
  std::string name_;
};

}  // namespace tidegate::servers
