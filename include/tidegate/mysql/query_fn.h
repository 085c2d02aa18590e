/// MariaDB and MySQL as a query function, by MySQL Connector/C++ 1.1 (docs/mysql.md).
///
///     auto query = mysql::queryFn({.url = "mysql://reader@db.example/shop", .password = secret,
///                                  .tls = mysql::TlsMode::verifyFull});
///     IngestSourceConfig source{.name = "shop", .query = query, .tables = {…}};
///
/// How each type is read stands in docs/types.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/core/query.h"

namespace tidegate::mysql {

/// What is demanded of the connection's encryption. Nothing falls back to plain text by itself.
enum class TlsMode {
  off,               ///< plain text
  verifyFull,        ///< encrypted; the certificate's chain and its host name are checked
  requireUnverified  ///< encrypted, but with whoever answers: stops listeners, not impostors
};

/// Where and how to connect. A field left empty is taken from `url`.
struct ConnectOptions {
  /// "mysql://user@host:port/db?socket=/path&ssl-mode=REQUIRED&ssl-ca=/path" ("mariadb://" too); fields below win over
  /// it.
  std::string url{};
  std::string host{};        ///< name or address; "localhost" is TCP too. Neither host nor unixSocket: "localhost"
  std::uint16_t port = 0;    ///< 0: 3306
  std::string unixSocket{};  ///< path; then host and port are not used
  std::string user{};
  std::string password{};
  std::string database{};
  /// Not set: as `url` says. There `ssl-mode=REQUIRED` asks for TLS and so means verifyFull, as VERIFY_IDENTITY does;
  /// PREFERRED, which falls back to plain text, and VERIFY_CA, which the client library cannot do, are refused; no
  /// ssl-mode at all is `off`.
  std::optional<TlsMode> tls{};
  std::string caFile{};                                ///< PEM; empty: the system's certificates
  std::string certFile{};                              ///< client certificate, PEM
  std::string keyFile{};                               ///< its key, PEM
  std::chrono::milliseconds connectTimeout{5'000};     ///< whole seconds are used, rounded up
  std::chrono::milliseconds statementTimeout{60'000};  ///< where the query names none; 0: none. The server keeps it
  bool readOnly = true;                                ///< transactions of the session are READ ONLY
  std::vector<std::string> sessionSql{};  ///< run after each connect, e.g. "SET SESSION sort_buffer_size = 8388608"
};

/// A query function with one connection of its own, made at the first call.
///
/// A query with `wholeResult` streams row by row; others hold their page in memory. While a stream is open no other
/// query can run on the same function. A lost connection fails the query in hand; the next call connects again, with
/// every session setting. A requested stop token, and a stream that is destroyed early, end the statement by KILL from
/// a second connection, made for it: so `request_stop` may take up to two seconds when the server hangs. A server that
/// answers nothing at all is given up ten seconds after the statement's timeout.
///
/// Calling it throws Error: connectionFailed, authenticationFailed, permissionDenied, tableNotFound, columnNotFound,
/// queryCancelled, queryFailed. Messages name what the server named, and no secret.
/// @throws Error{invalidConfig} here for a url that does not parse and for options that contradict each other.
/// @thread The function and its streams: one call at a time. Stop tokens: any.
QueryFn queryFn(ConnectOptions options);

}  // namespace tidegate::mysql
