#include "kinesis/detail/object_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <exception>
#include <utility>

namespace tidegate::kinesis::detail {
namespace {

constexpr std::chrono::milliseconds kSilence{30'000};
constexpr std::size_t kErrorBytes = 64 * 1024;

AwsServiceOptions serviceFor(const ObjectStoreOptions& options) {
  AwsServiceOptions service = options.service;
  const std::string& bucket = options.bucket;
  if (bucket.empty() || bucket.find_first_of("/?#:@ ") != bucket.npos) {
    throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("\"{}\" is no bucket's name", bucket));
  }
  const std::size_t scheme = service.endpoint.find("://");
  if (!options.pathStyle && scheme != std::string::npos) service.endpoint.insert(scheme + 3, bucket + ".");
  return service;
}

ObjectHead headOf(const std::string& key, const http::Response& answer) {
  ObjectHead head{.key = key,
                  .etag = std::string(answer.headers.get("etag")),
                  .versionId = std::string(answer.headers.get("x-amz-version-id"))};
  const std::string_view length = answer.headers.get("content-length");
  std::from_chars(length.data(), length.data() + length.size(), head.bytes);
  std::tm parts{};
  const std::string modified(answer.headers.get("last-modified"));
  if (strptime(modified.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) != nullptr)
    head.modifiedMillis = timegm(&parts) * 1'000;
  if (head.versionId == "null") head.versionId.clear();
  return head;
}

bool isMissing(const Error& e) {
  const auto* aws = dynamic_cast<const AwsError*>(&e);
  return aws != nullptr && aws->failure() == AwsFailure::notFound;
}

/// libcurl would take them out of the path, and another key would be read.
void refuseDotSegments(const std::string& key) {
  const std::string around = "/" + key + "/";
  if (around.find("/./") == around.npos && around.find("/../") == around.npos) return;
  throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("key \"{}\": a part of it is \".\" or \"..\"", key));
}

}  // namespace

/// A reading of an object, over all its tries.
struct ObjectStore::Transfer {
  const ObjectHead& object;
  const Take& take;
  std::uint64_t at = 0;     ///< octets that were taken
  std::uint64_t skip = 0;   ///< octets of this answer that were taken before
  http::Response answer{};  ///< of this try; its body only where it is a complaint
  bool changed = false;     ///< it is of another object
  bool failed = false;      ///< the answer is a complaint
  bool enough = false;
  std::exception_ptr thrown{};

  bool onHead(const http::Response& head) {
    answer = head;
    failed = head.status != 206 && head.status != 200;
    skip = head.status == 200 ? at : 0;
    // Not every store looks at If-Match.
    const std::string_view etag = head.headers.get("etag");
    changed = !failed && !etag.empty() && etag != object.etag;
    return !changed;
  }
  bool onData(std::string_view piece) {
    if (failed) {
      answer.body.append(piece.substr(0, kErrorBytes - std::min(kErrorBytes, answer.body.size())));
      return true;
    }
    const auto before = static_cast<std::size_t>(std::min<std::uint64_t>(skip, piece.size()));
    piece.remove_prefix(before);
    skip -= before;
    if (piece.empty()) return true;
    // Nothing may be thrown through libcurl.
    try {
      at += piece.size();
      enough = !take(piece);
    } catch (...) {
      thrown = std::current_exception();
      enough = true;
    }
    return !enough;
  }
};

ObjectStore::ObjectStore(ObjectStoreOptions options)
    : bucket_(options.bucket), pathStyle_(options.pathStyle), service_(serviceFor(options)) {}

std::string ObjectStore::nameOf(std::string_view key) const { return fmt::format("s3://{}/{}", bucket_, key); }

AwsRequest ObjectStore::requestFor(std::string_view method, const std::string& key) const {
  refuseDotSegments(key);
  return {.method = std::string(method), .path = pathStyle_ ? "/" + bucket_ + "/" + key : "/" + key};
}

std::optional<ObjectHead> ObjectStore::head(http::Client& client, const std::string& key, const std::stop_token& stop) {
  try {
    const http::Response answer = service_.call(client, requestFor("HEAD", key), "HEAD of " + nameOf(key), stop);
    // Taken for empty, a table's object would empty its target.
    if (answer.headers.get("content-length").empty()) {
      throw Error(ErrorCode::parseError, Retry::afterOperator,
                  fmt::format("the answer to HEAD of {} has no Content-Length: what stands before the object store "
                              "must let it pass",
                              nameOf(key)));
    }
    return headOf(key, answer);
  } catch (const AwsError& e) {
    if (isMissing(e)) return std::nullopt;
    throw;
  }
}

std::optional<std::string> ObjectStore::get(http::Client& client, const std::string& key, std::size_t maxBytes,
                                            const std::stop_token& stop, ObjectHead* head) {
  try {
    http::Response answer = service_.call(client, requestFor("GET", key), "GET of " + nameOf(key), stop);
    if (answer.body.size() > maxBytes) {
      throw Error(ErrorCode::parseError, Retry::afterOperator,
                  fmt::format("{} has {} octets; at most {} are read", nameOf(key), answer.body.size(), maxBytes));
    }
    if (head != nullptr) *head = headOf(key, answer);
    return std::move(answer.body);
  } catch (const AwsError& e) {
    if (isMissing(e)) return std::nullopt;
    throw;
  }
}

AwsRequest ObjectStore::readRequest(const ObjectHead& object, std::uint64_t from) const {
  AwsRequest request = requestFor("GET", object.key);
  request.timeout = std::chrono::milliseconds(0);
  request.idleTimeout = kSilence;
  if (!object.versionId.empty()) request.query = {{"versionId", object.versionId}};
  if (!object.etag.empty()) request.headers.set("if-match", object.etag);
  if (from > 0) request.headers.set("range", fmt::format("bytes={}-", from));
  return request;
}

bool ObjectStore::transfer(http::Client& client, Transfer& state, const std::stop_token& stop) {
  state.failed = false;
  state.answer = {};
  try {
    client.stream(
        service_.sign(readRequest(state.object, state.at), stop),
        [&](const http::Response& h) { return state.onHead(h); },
        [&](std::string_view piece) { return state.onData(piece); }, stop);
  } catch (const Error&) {
    if (state.thrown) std::rethrow_exception(state.thrown);
    if (state.enough) return false;
    if (state.changed) {
      throw AwsError(AwsFailure::changed, ErrorCode::queryFailed, Retry::later,
                     fmt::format("{} was replaced while it was read: take a new baseline", nameOf(state.object.key)));
    }
    throw;
  }
  if (const auto error = service_.failureOf(state.answer, "GET of " + nameOf(state.object.key));
      error && state.failed) {
    if (error->failure() == AwsFailure::oldKeys || error->failure() == AwsFailure::clockSkew) {
      throw Error(ErrorCode::authenticationFailed, Retry::later, error->message());
    }
    throw AwsError(*error);
  }
  return true;
}

bool ObjectStore::read(http::Client& client, const ObjectHead& object, const Take& take, const OnBroken& onBroken,
                       const std::stop_token& stop) {
  Transfer state{.object = object, .take = take};
  while (state.at < object.bytes) {
    const std::uint64_t before = state.at;
    try {
      if (!transfer(client, state, stop)) return false;
      // An answer that ended in good order, and short: nobody's failure to report, and yet not whole.
      if (state.at == before) {
        throw Error(ErrorCode::connectionFailed, Retry::later,
                    fmt::format("{} ended after {} of {} octets", nameOf(object.key), state.at, object.bytes));
      }
    } catch (const Error& e) {
      const bool broken = e.retry() == Retry::later || e.retry() == Retry::outcomeUnknown;
      const auto* aws = dynamic_cast<const AwsError*>(&e);
      if (state.thrown || !broken || (aws != nullptr && aws->failure() == AwsFailure::changed) ||
          e.code() == ErrorCode::queryCancelled) {
        throw;
      }
      if (!onBroken(e)) return false;
    }
  }
  return true;
}

}  // namespace tidegate::kinesis::detail
