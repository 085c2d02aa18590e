#include "http/detail/client_impl.h"

#include <unistd.h>

#include <algorithm>
#include <mutex>

#include "core/detail/ca_bundle.h"
#include "http/detail/retry_pause.h"
#include "http/detail/text.h"

namespace tidegate::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kPollMost{60'000};

void initCurl() {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
}

ClientOptions checkedClientOptions(ClientOptions options) {
  if (!options.authorityFile.empty() && access(options.authorityFile.c_str(), R_OK) != 0) {
    throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                "ClientOptions::authorityFile \"" + options.authorityFile + "\" cannot be read");
  }
  if (options.retry.attempts == 0) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "RetryPolicy::attempts is at least 1: the first");
  }
  for (const auto& [name, value] : options.headers) {
    if (detail::isToken(name) && detail::isFieldValue(value)) continue;
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "ClientOptions::headers: a field is malformed; see its name and its value");
  }
  if (options.authorityFile.empty()) options.authorityFile = tidegate::detail::systemCaBundle();
  return options;
}

Error cancelled(const std::string& method, const std::string& url) {
  return Error(ErrorCode::queryCancelled, Retry::later, method + " " + redactSecrets(url) + " was cancelled");
}

}  // namespace

Client::Impl::Impl(ClientOptions given)
    : options(checkedClientOptions(std::move(given))),
      jitter_(options.jitterSeed != 0 ? options.jitterSeed : std::random_device{}()) {
  initCurl();
  multi_.reset(curl_multi_init());
  if (!multi_) throw std::bad_alloc();
  // One HTTP/2 stream a connection: in libcurl 7.88 one that is held stops the others of its connection.
  curl_multi_setopt(multi_.get(), CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options.connections));
}

/// Requests that are not done end untold.
Client::Impl::~Impl() {
  for (const auto& [id, transfer] : transfers) {
    if (transfer->easy()) curl_multi_remove_handle(multi_.get(), transfer->easy());
  }
  transfers.clear();
  idle_.clear();
}

detail::Easy Client::Impl::freshEasy() {
  if (!idle_.empty()) {
    detail::Easy easy = std::move(idle_.back());
    idle_.pop_back();
    curl_easy_reset(easy.get());
    return easy;
  }
  detail::Easy easy(curl_easy_init());
  if (!easy) throw std::bad_alloc();
  return easy;
}

Client::Id Client::Impl::start(ClientRequest request, Callbacks callbacks) {
  auto transfer = std::make_unique<detail::Transfer>(options, std::move(request), std::move(callbacks));
  const Id id = next_++;
  transfer->id = id;
  transfers.emplace(id, std::move(transfer));
  starting_.push_back(id);
  return id;
}

void Client::Impl::cancel(Id id) {
  const auto at = transfers.find(id);
  if (at == transfers.end()) return;
  at->second->endWith(Error(ErrorCode::queryCancelled, Retry::later, "the request was cancelled"));
}

void Client::Impl::hold(Id id, bool held) {
  const auto at = transfers.find(id);
  if (at == transfers.end()) return;
  if (at->second->hold(held)) lettingGo_.push_back(id);
}

/// To let go calls back with what libcurl had received: only within `run`.
void Client::Impl::letGo() {
  for (const Id id : std::exchange(lettingGo_, {})) {
    if (const auto at = transfers.find(id); at != transfers.end()) at->second->letGo();
  }
}

void Client::Impl::wake() noexcept {
  woken_.store(true);
  curl_multi_wakeup(multi_.get());
}

void Client::Impl::admit() {
  for (const Id id : std::exchange(starting_, {})) {
    const auto at = transfers.find(id);
    if (at == transfers.end() || at->second->ending()) continue;
    at->second->prepare(freshEasy());
    curl_multi_add_handle(multi_.get(), at->second->easy());
  }
}

/// Takes the transfer out, then tells: the callback may begin and cancel others.
void Client::Impl::finish(Id id, CURLcode result) {
  const auto at = transfers.find(id);
  if (at->second->easy()) curl_multi_remove_handle(multi_.get(), at->second->easy());
  if (result == CURLE_OK && at->second->redirects()) {
    detail::Easy easy = at->second->release();
    curl_easy_reset(easy.get());
    at->second->prepare(std::move(easy));
    curl_multi_add_handle(multi_.get(), at->second->easy());
    return;
  }
  const std::unique_ptr<detail::Transfer> transfer = std::move(at->second);
  transfers.erase(at);
  const Outcome outcome = transfer->outcome(result);
  if (transfer->easy() && idle_.size() < options.connections) idle_.push_back(transfer->release());
  if (transfer->callbacks().onDone) transfer->callbacks().onDone(outcome);
  if (transfer->thrown()) std::rethrow_exception(transfer->thrown());
}

/// Ends a request of which nobody wants to hear.
void Client::Impl::forget(Id id) noexcept {
  const auto at = transfers.find(id);
  if (at == transfers.end()) return;
  if (at->second->easy()) curl_multi_remove_handle(multi_.get(), at->second->easy());
  transfers.erase(at);
}

/// @return whether any request ended.
bool Client::Impl::collect() {
  bool any = false;
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_.get(), &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const CURLcode result = message->data.result;
    detail::Transfer* transfer = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
    any = true;
    finish(transfer->id, result);
  }
  return any;
}

bool Client::Impl::endCancelled() {
  std::vector<Id> ended;
  for (const auto& [id, transfer] : transfers) {
    if (transfer->ending()) ended.push_back(id);
  }
  for (const Id id : ended) {
    if (transfers.contains(id)) finish(id, CURLE_ABORTED_BY_CALLBACK);
  }
  return !ended.empty();
}

bool Client::Impl::endSilent() {
  const auto now = steady_clock::now();
  for (const auto& [id, transfer] : transfers) {
    const auto until = transfer->easy() ? transfer->silentUntil() : std::nullopt;
    if (until && now >= *until) transfer->silent();
  }
  return endCancelled();
}

milliseconds Client::Impl::untilSilence(milliseconds wait) const {
  const auto now = steady_clock::now();
  for (const auto& [id, transfer] : transfers) {
    const auto until = transfer->silentUntil();
    if (until)
      wait = std::min(wait, std::chrono::ceil<milliseconds>(std::max(*until - now, steady_clock::duration(0))));
  }
  return wait;
}

/// Moves everything on without waiting. @return whether something ended.
bool Client::Impl::step() {
  bool any = endCancelled();
  admit();
  letGo();
  int active = 0;
  const CURLMcode result = curl_multi_perform(multi_.get(), &active);
  if (result != CURLM_OK) {
    throw Error(ErrorCode::internal, Retry::never, std::string("libcurl: ") + curl_multi_strerror(result));
  }
  any = collect() || any;
  return endSilent() || any;
}

void Client::Impl::run(milliseconds wait, const std::stop_token& stop) {
  const std::stop_callback onStop(stop, [this] { wake(); });
  const auto until = steady_clock::now() + std::min(wait, milliseconds(std::chrono::hours(24)));
  while (!step()) {
    const auto left = std::chrono::ceil<milliseconds>(until - steady_clock::now());
    if (left.count() <= 0 || stop.stop_requested() || woken_.exchange(false)) return;
    const milliseconds pause = untilSilence(std::min(left, kPollMost));
    curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(pause.count()), nullptr);
  }
}

Outcome Client::Impl::once(const ClientRequest& request, const Callbacks& callbacks, const std::stop_token& stop) {
  std::optional<Outcome> done;
  Callbacks own = callbacks;
  own.onDone = [&done](const Outcome& outcome) { done = outcome; };
  const Id id = start(request, std::move(own));
  try {
    while (!done) {
      if (stop.stop_requested()) cancel(id);
      run(kPollMost, stop);
    }
  } catch (...) {  // of this request's callbacks, or of another's
    forget(id);
    throw;
  }
  return *std::move(done);
}

Outcome Client::Impl::withRetries(const ClientRequest& request, const Callbacks& callbacks,
                                  const std::stop_token& stop) {
  const Clock& clock = options.clock ? *options.clock : systemClock();
  Scheduler& scheduler = options.scheduler ? *options.scheduler : systemScheduler();
  bool begun = false;
  Callbacks watched = callbacks;
  // A streamed answer that will be asked for again is not shown: its status is the reason.
  const auto repeats = [&](const Response& head, unsigned attempt) {
    return attempt < options.retry.attempts && detail::mayRepeat(Outcome{.response = head}, options.retry, request);
  };
  for (unsigned attempt = 1;; ++attempt) {
    bool hidden = false;
    if (callbacks.onHead) {
      watched.onHead = [&, attempt](const Response& head) {
        hidden = repeats(head, attempt);
        begun = begun || !hidden;
        return hidden || callbacks.onHead(head);
      };
      watched.onData = [&](std::string_view piece) { return hidden || callbacks.onData(piece); };
    }
    Outcome outcome = once(request, watched, stop);
    outcome.attempts = attempt;
    const bool again = !begun && attempt < options.retry.attempts && detail::mayRepeat(outcome, options.retry, request);
    if (!again) return outcome;
    const auto pause = detail::pauseBefore(attempt, outcome.response, options.retry, clock, jitter_);
    if (!scheduler.waitFor(pause, stop)) {
      outcome.error = cancelled(request.method, request.url);
      return outcome;
    }
  }
}

}  // namespace tidegate::http
