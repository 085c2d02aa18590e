#include "durable_streams/detail/client_session.h"

namespace tidegate::durable_streams::detail {

const Clock& clockOf(const http::ClientOptions& options) { return options.clock ? *options.clock : systemClock(); }

Scheduler& schedulerOf(const http::ClientOptions& options) {
  return options.scheduler ? *options.scheduler : systemScheduler();
}

http::ClientOptions withoutRetries(http::ClientOptions options) {
  options.retry.attempts = 1;
  return options;
}

namespace {

bool isHttpUrl(std::string_view url) { return url.starts_with("http://") || url.starts_with("https://"); }

std::shared_ptr<const DurableStreamClientOptions> checkedOptions(DurableStreamClientOptions options) {
  options.retry.validate();
  if (!options.url.empty() && !isHttpUrl(options.url)) {
    throw Error(
        ErrorCode::invalidConfig, Retry::never,
        "DurableStreamClientOptions::url: expected http:// or https://, got \"" + redactSecrets(options.url) + "\"");
  }
  while (options.url.ends_with('/')) options.url.pop_back();
  return std::make_shared<const DurableStreamClientOptions>(std::move(options));
}

}  // namespace

Session::Session(DurableStreamClientOptions options)
    : options_(checkedOptions(std::move(options))),
      client_(withoutRetries(options_->http)),
      plan_(options_->retry, clockOf(options_->http), options_->http.jitterSeed) {}

std::string Session::urlOf(std::string_view path) const {
  if (isHttpUrl(path)) return std::string(path);
  if (options_->url.empty()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "the stream \"" + std::string(path) + "\" has no URL: give the client one, or the stream a whole one");
  }
  std::string url = options_->url;
  if (!path.starts_with('/')) url += '/';
  return url.append(path);
}

/// One attempt: an answer that is one, or why there will have to be another.
Session::Attempt Session::once(const http::ClientRequest& request, const Asked& asked, const std::stop_token& stop) {
  try {
    Attempt attempt{.answer = client_.perform(request, stop)};
    if (plan_.isTransient(attempt.answer.status)) attempt.failure = refusal(asked, attempt.answer);
    return attempt;
  } catch (const Error& e) {
    if (e.code() == ErrorCode::queryCancelled) throw;
    return {.failure = unreachable(asked, e)};
  }
}

http::Response Session::perform(const Ask& ask, const Asked& asked, const RequestFields* moreHeaders,
                                const std::stop_token& stop) {
  std::vector<const RequestFields*> headers{&options_->headers};
  if (moreHeaders) headers.push_back(moreHeaders);
  for (unsigned attempt = 1;; ++attempt) {
    Attempt got = once(makeRequest(ask, headers, {&options_->params}), asked, stop);
    if (!got.failure) return std::move(got.answer);
    if (attempt > plan_.maxRetries() || got.failure->retry() != Retry::later) {
      throw afterAttempts(*got.failure, attempt);
    }
    pauseFor(plan_.pause(attempt, got.failure->status() != 0 ? &got.answer : nullptr), asked, stop);
  }
}

void Session::pauseFor(std::chrono::milliseconds pause, const Asked& asked, const std::stop_token& stop) {
  if (schedulerOf(options_->http).waitFor(pause, stop)) return;
  throw Error(ErrorCode::queryCancelled, Retry::later,
              asked.method + " " + redactSecrets(withoutQuery(asked.url)) + " was stopped between two attempts");
}

std::string Session::askContentType(const std::string& url, const RequestFields* moreHeaders,
                                    const std::stop_token& stop) {
  const Asked asked{.method = "HEAD", .url = url, .repeatable = true};
  const http::Response head =
      perform({.method = "HEAD", .url = url, .timeout = options_->timeout}, asked, moreHeaders, stop);
  if (head.status != 200) throw refusal(asked, head);
  std::string contentType(head.headers.get("content-type"));
  if (contentType.empty()) throw badAnswer(asked, "the answer has no Content-Type", head.status);
  return contentType;
}

void Session::checkJson(std::string_view text) {
  std::string document(text);
  const std::string problem = json_.check(document);
  if (!problem.empty()) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "a message for a JSON stream is not one JSON document: " + problem);
  }
}

}  // namespace tidegate::durable_streams::detail
