/// A connection on which tables are read by COPY without waiting, several of them driven by one thread.
#pragma once

#include <libpq-fe.h>

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "postgres/detail/copy_decoder.h"
#include "postgres/detail/session.h"
#include "postgres/detail/sql.h"

namespace tidegate::postgres::detail {

/// A session for reading tables: no statement timeout, everything else as the options say.
class CopyLink {
 public:
  /// Connects. @throws Error{connectionFailed, authenticationFailed, queryCancelled}
  CopyLink(const ConnectOptions& options, const std::stop_token& stop);

  PGconn* raw() { return session_.connection().raw(); }
  bool trustedEncoding() const { return session_.trustedEncoding(); }
  int socket() { return PQsocket(raw()); }
  /// Runs a statement to its end. @throws Error{queryCancelled} if it was stopped meanwhile.
  OwnedResult run(const std::string& sql, const SqlParams& params = {});

  bool copying() const { return decoder_.has_value(); }
  /// Sends a COPY.
  void start(const std::string& copySql, CopyDecoder decoder);
  /// Takes in what the socket has. Call when it is readable.
  void receive();
  /// Reads the next row into `values`, of those taken in. @return false if there is none: wait, or see `copying`,
  /// which is then false at the end of the COPY.
  bool next(std::vector<Value>& values);
  /// `next`, but waits for the server; false only at the end.
  bool nextWaiting(std::vector<Value>& values);

  /// The error that a failure of this connection means: that of the stop, if it was stopped.
  Error failure(const PGresult* result = nullptr);

 private:
  using OwnedMessage = std::unique_ptr<char, void (*)(void*)>;
  bool fetch(bool wait);
  void beginCopy();
  void endCopy();

  Session session_;
  std::stop_token stop_;
  std::optional<StopGuard> guard_;
  std::optional<CopyDecoder> decoder_;
  bool answered_ = false;  ///< the server has begun to send
  OwnedMessage message_{nullptr, PQfreemem};
  std::string_view rest_;  ///< of the message
};

}  // namespace tidegate::postgres::detail
