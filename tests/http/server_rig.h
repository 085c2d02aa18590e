/// A server for a test, and what its handlers share.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "http/raw_client.h"
#include "tidegate/http/server.h"

namespace tidegate::http::test {

/// Starts a server at once; stops it at the end.
class Rig {
 public:
  explicit Rig(Handler handler, ServerOptions options = {}) : server(std::move(options), std::move(handler)) {
    server.start();
  }
  RawClient client() const { return RawClient(server.port()); }

  Server server;
};

/// Answers "METHOD path?query body".
inline void echo(Request&& request, Responder answer) {
  std::string body = request.method + " " + request.path;
  if (!request.query.empty()) body += "?" + request.query;
  if (!request.body.empty()) body += " " + request.body;
  answer.send({.headers = {{"content-type", "text/plain"}}, .body = std::move(body)});
}

inline const std::string kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

}  // namespace tidegate::http::test
