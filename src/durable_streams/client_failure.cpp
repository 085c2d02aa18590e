#include "durable_streams/detail/client_failure.h"

#include <charconv>

#include "durable_streams/detail/client_request.h"

namespace tidegate::durable_streams {

std::string_view toString(StreamFailure failure) noexcept {
  switch (failure) {
    case StreamFailure::badRequest:
      return "badRequest";
    case StreamFailure::unauthenticated:
      return "unauthenticated";
    case StreamFailure::forbidden:
      return "forbidden";
    case StreamFailure::notFound:
      return "notFound";
    case StreamFailure::notAllowed:
      return "notAllowed";
    case StreamFailure::exists:
      return "exists";
    case StreamFailure::closed:
      return "closed";
    case StreamFailure::sequenceConflict:
      return "sequenceConflict";
    case StreamFailure::conflict:
      return "conflict";
    case StreamFailure::producerGap:
      return "producerGap";
    case StreamFailure::staleEpoch:
      return "staleEpoch";
    case StreamFailure::gone:
      return "gone";
    case StreamFailure::rateLimited:
      return "rateLimited";
    case StreamFailure::unavailable:
      return "unavailable";
    case StreamFailure::unreachable:
      return "unreachable";
    case StreamFailure::badAnswer:
      return "badAnswer";
  }
  return "";
}

namespace detail {
namespace {

constexpr std::size_t kQuoted = 200;  // octets of the server's own words in a message

struct Meaning {
  StreamFailure failure;
  ErrorCode code;
  Retry retry;
  std::string_view remedy;
};

std::optional<std::uint64_t> numberIn(const http::Headers& headers, std::string_view name) {
  const std::string_view text = headers.get(name);
  std::uint64_t value = 0;
  const auto [rest, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || failure != std::errc() || rest != text.data() + text.size()) return std::nullopt;
  return value;
}

StreamErrorDetails detailsOf(const Asked& asked, int status) {
  return {.method = asked.method, .url = redactSecrets(withoutQuery(asked.url)), .status = status};
}

Meaning conflictMeaning(const Asked& asked, const http::Headers& headers) {
  using enum StreamFailure;
  if (saysTrue(headers, wire::kClosed)) {
    return {closed, ErrorCode::stopped, Retry::never, "the stream is closed and takes nothing more"};
  }
  if (headers.has(wire::kExpectedSeq)) {
    return {producerGap, ErrorCode::queryFailed, Retry::never,
            "a batch before this one is missing; start again with a higher epoch"};
  }
  if (asked.method == "PUT") {
    return {exists, ErrorCode::invalidConfig, Retry::never,
            "there is a stream with another content type, expiry, source or state"};
  }
  if (asked.hasSeq) {
    return {sequenceConflict, ErrorCode::queryFailed, Retry::never,
            "the append's sequence is not after the last one, or its content type is not the stream's"};
  }
  return {conflict, ErrorCode::invalidArgument, Retry::never, "the content type may not be the stream's"};
}

Meaning serverMeaning(const Asked& asked, int status) {
  // A server that says 500 or 503 answers for itself; a gateway's 502 and 504 leave open what became of the request.
  const bool unknown = asked.changes && !asked.repeatable && (status == 502 || status == 504);
  return {StreamFailure::unavailable, ErrorCode::storeUnavailable, unknown ? Retry::outcomeUnknown : Retry::later,
          unknown ? "it may have been done; ask before repeating it" : "try again later"};
}

Meaning meaningOf(const Asked& asked, const http::Response& answer) {
  using enum StreamFailure;
  switch (answer.status) {
    case 401:
      return {unauthenticated, ErrorCode::authenticationFailed, Retry::afterOperator, "check the credentials"};
    case 403:
      if (numberIn(answer.headers, wire::kProducerEpoch)) {
        return {staleEpoch, ErrorCode::fenced, Retry::never,
                "another producer with this id took over; this one must end, or start again with a higher epoch"};
      }
      return {forbidden, ErrorCode::permissionDenied, Retry::afterOperator, "check what these credentials may do"};
    case 404:
      return {notFound, ErrorCode::tableNotFound, Retry::afterOperator, "there is no such stream"};
    case 405:
    case 501:
      return {notAllowed, ErrorCode::permissionDenied, Retry::never, "the server does not do this for this stream"};
    case 409:
      return conflictMeaning(asked, answer.headers);
    case 410:
      return {gone, ErrorCode::positionLost, Retry::never,
              "the stream was deleted, or what stood at this offset is no longer kept"};
    case 429:
      return {rateLimited, ErrorCode::backPressure, Retry::later, "slow down"};
    default:
      break;
  }
  if (answer.status >= 500) return serverMeaning(asked, answer.status);
  if (answer.status >= 400) {
    return {badRequest, ErrorCode::invalidArgument, Retry::never, "the request or its offset is not valid"};
  }
  return {badAnswer, ErrorCode::parseError, Retry::never, "the protocol knows no such answer here"};
}

/// The server's words, on one line.
std::string inQuotes(std::string_view body) {
  std::string text = redactSecrets(body.substr(0, kQuoted));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

}  // namespace

StreamError refusal(const Asked& asked, const http::Response& answer) {
  const Meaning meaning = meaningOf(asked, answer);
  StreamErrorDetails details = detailsOf(asked, answer.status);
  details.offset = answer.headers.get(wire::kNextOffset);
  details.epoch = numberIn(answer.headers, wire::kProducerEpoch);
  details.expectedSeq = numberIn(answer.headers, wire::kExpectedSeq);
  details.receivedSeq = numberIn(answer.headers, wire::kReceivedSeq);
  std::string message = details.method + " " + details.url + ": " + std::to_string(answer.status);
  if (const auto phrase = http::reasonPhrase(answer.status); !phrase.empty()) message += " " + std::string(phrase);
  message += ": " + std::string(meaning.remedy);
  if (details.epoch && meaning.failure == StreamFailure::staleEpoch) {
    message += " (epoch " + std::to_string(*details.epoch) + " writes now)";
  }
  if (details.expectedSeq) {
    message += " (expected sequence " + std::to_string(*details.expectedSeq) + ", received " +
               std::to_string(details.receivedSeq.value_or(0)) + ")";
  }
  if (!answer.body.empty()) message += "; the server says: " + inQuotes(answer.body);
  return {meaning.failure, meaning.code, meaning.retry, message, std::move(details)};
}

StreamError unreachable(const Asked& asked, const Error& why) {
  const bool unknown = why.retry() == Retry::outcomeUnknown && !asked.repeatable;
  StreamErrorDetails details = detailsOf(asked, 0);
  const std::string where = details.method + " " + details.url + ": ";
  if (why.code() != ErrorCode::connectionFailed) {  // TLS, or an answer over its bound
    const bool bad = why.code() == ErrorCode::parseError;
    return {bad ? StreamFailure::badAnswer : StreamFailure::unreachable, why.code(), why.retry(), where + why.message(),
            std::move(details)};
  }
  return {StreamFailure::unreachable, why.code(), unknown ? Retry::outcomeUnknown : Retry::later,
          where + why.message() + (unknown ? "; it may have been done: ask before repeating it" : ""),
          std::move(details)};
}

StreamError badAnswer(const Asked& asked, std::string_view why, int status) {
  StreamErrorDetails details = detailsOf(asked, status);
  const std::string message = details.method + " " + details.url + ": " + std::string(why);
  return {StreamFailure::badAnswer, ErrorCode::parseError, Retry::later, message, std::move(details)};
}

StreamError afterAttempts(const StreamError& error, unsigned attempts) {
  if (attempts < 2) return error;
  return {error.failure(), error.code(), error.retry(),
          error.message() + " (after " + std::to_string(attempts) + " attempts)", error.details()};
}

}  // namespace detail
}  // namespace tidegate::durable_streams
