/// PostgreSQL as a query function, by libpqxx and libpq (docs/postgres.md).
///
///     auto query = postgres::queryFn({.url = "postgresql://reader@db.example/shop", .password = secret,
///                                     .tls = postgres::TlsMode::verifyFull});
///     IngestSourceConfig source{.name = "shop", .query = query, .tables = {…}};
///
/// How each type is read stands in docs/types.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/core/query.h"

namespace tidegate::postgres {

/// What is demanded of the connection's encryption. Nothing falls back to plain text by itself.
enum class TlsMode {
  off,               ///< plain text
  verifyFull,        ///< encrypted; the certificate's chain and its host name are checked
  verifyCa,          ///< encrypted; the chain is checked, the name is not
  requireUnverified  ///< encrypted, but with whoever answers: stops listeners, not impostors
};

/// Where and how to connect. A field left empty is taken from `url`, then from libpq's own defaults (PGHOST,
/// ~/.pgpass…).
struct ConnectOptions {
  std::string url{};   ///< "postgresql://user@host:port/db?…" or "host=… dbname=…"; fields below win over it
  std::string host{};  ///< name, address, or the directory of a unix socket ("/var/run/postgresql")
  std::uint16_t port = 0;
  std::string user{};
  std::string password{};
  std::string database{};
  /// Not set: as `url` says. There `sslmode=require` asks for TLS and so means verifyFull; `prefer` and `allow`, which
  /// fall back to plain text, are refused; no sslmode at all is `off`.
  std::optional<TlsMode> tls{};
  std::string caFile{};    ///< PEM; empty: the system's certificates
  std::string certFile{};  ///< client certificate, PEM
  std::string keyFile{};   ///< its key, PEM; must not be readable by others
  std::chrono::milliseconds connectTimeout{5'000};
  std::chrono::milliseconds statementTimeout{60'000};  ///< where the query names none; 0: none. The server keeps it
  std::string applicationName = "tidegate";            ///< as seen in pg_stat_activity
  bool readOnly = true;                                ///< sets default_transaction_read_only
  std::vector<std::pair<std::string, std::string>>
      settings{};  ///< further session settings, e.g. {"search_path", "shop"}
};

/// A query function with one connection of its own, made at the first call.
///
/// A query with `wholeResult` streams row by row (libpq's single-row mode: one statement, so one snapshot); others hold
/// their page in memory. While a stream is open no other query can run on the same function. A lost connection fails
/// the query in hand; the next call connects again, with every session setting. A requested stop token, and a stream
/// that is destroyed early, close the connection; servers from 14 on then end the statement within a second.
///
/// Calling it throws Error: connectionFailed, authenticationFailed, permissionDenied, tableNotFound, columnNotFound,
/// queryCancelled, queryFailed. Messages name what the server named, and no secret.
/// @throws Error{invalidConfig} here for a url that does not parse and for options that contradict each other.
/// @thread The function and its streams: one call at a time. Stop tokens: any.
QueryFn queryFn(ConnectOptions options);

}  // namespace tidegate::postgres
