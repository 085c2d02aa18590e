/// How to reach a NATS cluster, and how a JetStream stream is kept there. Shared by all of this driver.
///
///     nats::ConnectOptions cluster{.servers = {"nats://n1:4222", "nats://n2:4222"}, .credentialsFile = "app.creds"};
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tidegate/core/clock.h"

namespace tidegate::nats {

/// Where `required` is false, TLS is used as the servers' URLs ("tls://…") and the servers themselves ask.
struct TlsOptions {
  bool required = false;
  std::string authorityFile{};    ///< PEM; empty: the system's authorities
  std::string certificateFile{};  ///< PEM chain of this client; goes with `keyFile`
  std::string keyFile{};          ///< PEM
  std::string hostname{};         ///< the name that the certificate must have; empty: the URL's host
};

/// At most one way to log in: `credentialsFile`, `token`, or `user` with `password`. A URL may hold a user and password
/// too. None of them is ever part of a message.
struct ConnectOptions {
  std::vector<std::string> servers{"nats://127.0.0.1:4222"};  ///< any of a cluster; it tells the others
  std::string user{};
  std::string password{};
  std::string token{};
  std::string credentialsFile{};  ///< a JWT and its seed, as `nsc` writes them
  TlsOptions tls{};
  std::string name = "tidegate";                    ///< as which the servers list the connection
  std::chrono::milliseconds connectTimeout{5'000};  ///< for one server
  std::chrono::milliseconds requestTimeout{5'000};  ///< for one answer
  /// How long a request, or an append, is tried again while nobody is responsible for the stream: a new leader of three
  /// takes about 5 s to be elected.
  std::chrono::milliseconds retryFor{20'000};
  const Clock* clock = nullptr;    ///< null: the system's
  Scheduler* scheduler = nullptr;  ///< of the waiting between tries; null: the system's
};

/// Where a stream is kept.
enum class Storage {
  file,   ///< survives the restart of all its servers
  memory  ///< survives while a majority of its replicas runs
};

/// How a stream is made where there is none. One that is there is used as it is.
struct StreamOptions {
  std::uint32_t replicas = 1;  ///< 1, 3 or 5
  Storage storage = Storage::file;
  std::chrono::seconds maxAge{0};    ///< entries older than that are dropped; 0: none
  std::uint64_t maxBytes = 0;        ///< above it the oldest are dropped; 0: no bound
  std::chrono::seconds window{120};  ///< in which the server recognises a message by its id; 0: the server's default
  bool createMissing = true;         ///< false: a stream that is not there is an error
};

}  // namespace tidegate::nats
