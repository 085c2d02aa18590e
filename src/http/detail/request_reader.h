/// Reads requests from octets as they come: the whole of HTTP/1.x that a client may send, and nothing of sockets.
///
/// Strict where leniency lets two readers see two requests (RFC 9112, section 11.2): both Content-Length and
/// Transfer-Encoding, a repeated Content-Length, folded lines, bare line feeds, spaces before a colon are refused.
/// Why not Beast's parser: decision 18.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "tidegate/http/message.h"
#include "tidegate/http/server.h"

namespace tidegate::http::detail {

/// @thread One at a time.
class RequestReader {
 public:
  enum class State {
    idle,    ///< between requests
    head,    ///< the request line or some fields are there
    body,    ///< the fields are whole
    done,    ///< `request` is whole; `next` begins another
    refused  ///< `refusal` says why; the connection cannot go on
  };

  explicit RequestReader(const Limits& limits) : limits_(&limits) {}

  /// Takes octets. @return how many were used: what is left belongs to an unfinished line, or to the next request, and
  /// must be given again with what follows it.
  std::size_t feed(std::string_view input);
  /// After `done`: begins the next request.
  void next();

  State state() const noexcept { return state_; }
  Request& request() noexcept { return request_; }
  /// The client waits for "100 Continue" before it sends the body. True once.
  bool takeContinue() noexcept;
  bool keepAlive() const noexcept { return keepAlive_; }
  bool http10() const noexcept { return http10_; }
  int refusalStatus() const noexcept { return refusalStatus_; }
  std::string_view refusal() const noexcept { return refusal_; }

 private:
  enum class Part { requestLine, fields, fixedBody, chunkSize, chunkData, chunkEnd, trailers };

  bool step(std::string_view& input);
  bool takeLine(std::string_view& input, std::size_t most, std::string_view& line);
  void lineTooLong();
  void requestLine(std::string_view line);
  bool readVersion(std::string_view version);
  void fieldLine(std::string_view line);
  void trailerLine(std::string_view line);
  void knownField(std::string_view name, std::string_view value);
  void contentLength(std::string_view value);
  void transferEncoding(std::string_view value);
  void host(std::string_view value);
  void headDone();
  void bodyBegins();
  void fixedBody(std::string_view& input);
  void chunkSize(std::string_view line);
  void chunkData(std::string_view& input);
  void refuse(int status, std::string_view why);

  const Limits* limits_;
  Request request_{};
  State state_ = State::idle;
  Part part_ = Part::requestLine;
  std::size_t scanned_ = 0;    ///< of the unfinished line
  std::size_t headBytes_ = 0;  ///< of the lines used so far; of trailers again from zero
  std::uint64_t bodyLeft_ = 0;
  unsigned emptyLines_ = 0;
  bool hasLength_ = false;
  bool chunked_ = false;
  bool hasHost_ = false;
  bool http10_ = false;
  bool close_ = false;
  bool keep_ = false;
  bool keepAlive_ = false;
  bool expectsContinue_ = false;
  int refusalStatus_ = 0;
  std::string_view refusal_{};
};

}  // namespace tidegate::http::detail
