/// What a durable streams server said no to, with what is needed to act on it.
///
///     try { stream.append(message); }
///     catch (const durable_streams::StreamError& e) {
///       if (e.failure() == StreamFailure::closed) finishedAt(e.details().offset);
///     }
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "tidegate/core/error.h"

namespace tidegate::durable_streams {

/// Why a request failed, more exactly than `ErrorCode` tells.
enum class StreamFailure {
  badRequest,        ///< 400, 413 or another refusal of the request itself
  unauthenticated,   ///< 401
  forbidden,         ///< 403 without an epoch
  notFound,          ///< 404
  notAllowed,        ///< 405, 501: the server does not do this for this stream
  exists,            ///< 409 on creating: there is a stream of another kind
  closed,            ///< 409: the stream is closed; `offset` is its end
  sequenceConflict,  ///< 409: the append's `seq` is not after the last one
  conflict,          ///< another 409, e.g. another content type
  producerGap,       ///< 409: `expectedSeq` should have come
  staleEpoch,        ///< 403: another producer of that id took over, with `epoch`
  gone,              ///< 410: deleted, or the offset is no longer kept
  rateLimited,       ///< 429, also after the last retry
  unavailable,       ///< 5xx, also after the last retry
  unreachable,       ///< no answer came, also after the last retry
  badAnswer          ///< an answer that the protocol does not know: no offset, no JSON, no base64
};

/// The identifier, e.g. "staleEpoch".
std::string_view toString(StreamFailure failure) noexcept;

/// What the failed exchange was about.
struct StreamErrorDetails {
  std::string method{};
  std::string url{};  ///< without its query
  int status = 0;     ///< 0: no answer came
  std::string offset{};
  std::optional<std::uint64_t> epoch{};        ///< the producer's epoch that the server knows
  std::optional<std::uint64_t> expectedSeq{};  ///< of a producer gap
  std::optional<std::uint64_t> receivedSeq{};
};

/// An `Error` with its context. Message: what failed, method and URL, status, and what the server said, shortened.
/// @thread A value.
class StreamError : public Error {
 public:
  StreamError(StreamFailure failure, ErrorCode code, Retry retry, const std::string& message,
              StreamErrorDetails details)
      : Error(code, retry, message), failure_(failure), details_(std::move(details)) {}

  StreamFailure failure() const noexcept { return failure_; }
  const StreamErrorDetails& details() const noexcept { return details_; }
  int status() const noexcept { return details_.status; }

 private:
  StreamFailure failure_;
  StreamErrorDetails details_;
};

}  // namespace tidegate::durable_streams
