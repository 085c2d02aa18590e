#include "conformance/ds_client_adapter/adapter.h"

namespace tidegate::conformance {
namespace {

using durable_streams::StreamError;
using durable_streams::StreamFailure;

std::string_view codeOf(const StreamError& failure, std::string_view commandType) {
  switch (failure.failure()) {
    case StreamFailure::notFound:
    case StreamFailure::gone:
      return "NOT_FOUND";
    case StreamFailure::exists:
    case StreamFailure::conflict:
      return "CONFLICT";
    case StreamFailure::sequenceConflict:
    case StreamFailure::producerGap:
      return "SEQUENCE_CONFLICT";
    case StreamFailure::closed:
      return "STREAM_CLOSED";
    case StreamFailure::badAnswer:
      return "PARSE_ERROR";
    case StreamFailure::unreachable:
      return "NETWORK_ERROR";
    case StreamFailure::badRequest:
      return commandType == "read" ? "INVALID_OFFSET" : "UNEXPECTED_STATUS";
    default:
      return "UNEXPECTED_STATUS";
  }
}

std::string_view codeOf(const Error& failure) {
  switch (failure.code()) {
    case ErrorCode::invalidArgument:
    case ErrorCode::invalidConfig:
      return "INVALID_ARGUMENT";
    case ErrorCode::parseError:
      return "PARSE_ERROR";
    case ErrorCode::connectionFailed:
      return "NETWORK_ERROR";
    case ErrorCode::queryCancelled:
      return "TIMEOUT";
    default:
      return "INTERNAL_ERROR";
  }
}

/// The suite's names of options carry their unit.
std::string inTheSuitesWords(std::string message) {
  for (const std::string name : {"initialDelay", "maxDelay"}) {
    for (std::size_t at = 0; (at = message.find(name, at)) != std::string::npos; at += name.size() + 2) {
      message.insert(at + name.size(), "Ms");
    }
  }
  return message;
}

}  // namespace

Json failureOf(std::string_view commandType, const std::exception& failure) {
  Json result{{"type", "error"}, {"success", false}, {"commandType", commandType}};
  std::string message = failure.what();
  if (const auto* stream = dynamic_cast<const StreamError*>(&failure)) {
    if (stream->status() != 0) result["status"] = stream->status();
    result["errorCode"] = codeOf(*stream, commandType);
    result["details"] = {{"failure", toString(stream->failure())}, {"url", stream->details().url}};
  } else if (const auto* error = dynamic_cast<const Error*>(&failure)) {
    result["errorCode"] = codeOf(*error);
    if (error->code() == ErrorCode::invalidConfig) message = inTheSuitesWords(message);
  } else if (dynamic_cast<const Json::exception*>(&failure)) {
    result["errorCode"] = "PARSE_ERROR";
  } else {
    result["errorCode"] = "INTERNAL_ERROR";
  }
  result["message"] = message;
  return result;
}

durable_streams::RetryOptions adapterRetries() {
  return {.maxRetries = 6, .initialDelay = std::chrono::milliseconds(50), .maxDelay = std::chrono::seconds(5)};
}

}  // namespace tidegate::conformance
