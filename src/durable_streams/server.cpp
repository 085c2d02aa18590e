#include "tidegate/durable_streams/server.h"

#include <random>

#include "durable_streams/detail/server_core.h"
#include "durable_streams/detail/subscriptions.h"
#include "durable_streams/detail/webhook_keys.h"
#include "tidegate/core/error.h"

namespace tidegate::durable_streams {

namespace detail {

namespace {

DurableStreamServerOptions checkedOptions(DurableStreamServerOptions options) {
  const auto refuse = [](const char* why) { throw Error(ErrorCode::invalidConfig, Retry::never, why); };
  if (!options.store) refuse("a durable stream server needs a store");
  if (!options.basePath.starts_with('/')) refuse("DurableStreamServerOptions::basePath must begin with '/'");
  while (options.basePath.ends_with('/')) options.basePath.pop_back();
  if (options.cursorInterval.count() <= 0)
    refuse("DurableStreamServerOptions::cursorInterval must be at least a second");
  if (options.chunkBytes == 0 || options.sseChunkBytes == 0) refuse("chunks must be at least one octet");
  return options;
}

std::uint64_t serverSeed(std::uint64_t seed) { return seed != 0 ? seed : std::random_device()(); }

StreamAction actionOf(const std::string& method) {
  if (method == "PUT") return StreamAction::create;
  if (method == "POST") return StreamAction::append;
  if (method == "DELETE") return StreamAction::remove;
  return StreamAction::read;
}

/// The segments below "<base>/__ds/". From the target as it was sent, so that an encoded slash parts nothing.
std::vector<std::string> controlSegments(std::string_view target, std::size_t skip) {
  target = target.substr(0, target.find('?'));
  target.remove_prefix(std::min(skip, target.size()));
  std::vector<std::string> out;
  while (!target.empty()) {
    const std::size_t slash = target.find('/');
    const std::string_view segment = target.substr(0, slash);
    out.push_back(http::percentDecode(segment).value_or(std::string(segment)));
    target.remove_prefix(slash == std::string_view::npos ? target.size() : slash + 1);
  }
  return out;
}

}  // namespace

ServerCore::ServerCore(DurableStreamServerOptions options)
    : options_(checkedOptions(std::move(options))),
      clock_(options_.clock != nullptr ? *options_.clock : systemClock()),
      cursors_(clock_, options_.cursorInterval, serverSeed(options_.seed)),
      hub_(*options_.store, options_.liveReaders),
      subscriptions_(std::make_unique<Subscriptions>(options_, clock_)) {}

ServerCore::~ServerCore() = default;

void ServerCore::stop() {
  if (stopped_.exchange(true)) return;
  hub_.stopAll();
  subscriptions_->stop();
}

std::string ServerCore::origin(const http::Request& request) const {
  if (!options_.publicUrl.empty()) return options_.publicUrl;
  return (request.tls ? "https://" : "http://") + std::string(request.headers.get("Host"));
}

void ServerCore::send(const SharedResponder& answer, http::Response&& response) {
  if (response.status >= 400) refused.fetch_add(1, std::memory_order_relaxed);
  answer->send(std::move(response));
}

bool ServerCore::allowed(StreamAction action, std::string_view path, const http::Request& request,
                         const SharedResponder& answer) {
  if (!options_.authorise) return true;
  switch (options_.authorise({action, path, request})) {
    case Access::allowed:
      return true;
    case Access::unauthenticated: {
      http::Response response = refusal(401, "the request does not say who asks");
      response.headers.add("WWW-Authenticate", "Bearer");
      send(answer, std::move(response));
      return false;
    }
    case Access::forbidden:
      break;
  }
  send(answer, refusal(403, "this is not allowed"));
  return false;
}

void ServerCore::handle(http::Request&& request, http::Responder responder) {
  const auto answer = std::make_shared<http::Responder>(std::move(responder));
  if (stopped_.load(std::memory_order_relaxed)) return send(answer, refusal(503, "the server is stopping"));
  const std::string& base = options_.basePath;
  const std::string& full = request.path;
  if (full.size() < base.size() + 2 || full.compare(0, base.size(), base) != 0 || full[base.size()] != '/') {
    return send(answer, refusal(404, "streams live below another path"));
  }
  std::string path = full.substr(base.size() + 1);
  const bool control = path == kControlSegment || path.starts_with(std::string(kControlSegment) + "/");
  if (!control) {
    if (!allowed(actionOf(request.method), path, request, answer)) return;
    return route({std::move(request), std::move(path), answer});
  }
  const auto rest = controlSegments(request.target, base.size() + 1 + kControlSegment.size() + 1);
  const std::string_view id = rest.size() > 1 ? std::string_view(rest[1]) : std::string_view();
  if (!Subscriptions::carriesToken(rest) && !allowed(Subscriptions::actionOf(rest), id, request, answer)) return;
  subscriptions_->handle(
      request, rest, origin(request),
      [self = shared_from_this(), answer](http::Response&& response) { self->send(answer, std::move(response)); });
}

void ServerCore::route(StreamRequest&& r) {
  const std::string& method = r.request.method;
  if (method == "POST") return append(std::move(r));
  if (method == "GET") return read(std::move(r));
  if (method == "PUT") return create(std::move(r));
  if (method == "HEAD") return head(std::move(r));
  if (method == "DELETE") return remove(std::move(r));
  if (method == "OPTIONS") return send(r.answer, answerOf(204));
  http::Response response = refusal(405, "a stream takes PUT, POST, GET, HEAD and DELETE");
  response.headers.add("Allow", "PUT, POST, GET, HEAD, DELETE, OPTIONS");
  send(r.answer, std::move(response));
}

}  // namespace detail

struct DurableStreamServer::Impl {
  explicit Impl(DurableStreamServerOptions options) : core(std::make_shared<detail::ServerCore>(std::move(options))) {}
  std::shared_ptr<detail::ServerCore> core;
};

DurableStreamServer::DurableStreamServer(DurableStreamServerOptions options)
    : impl_(std::make_shared<Impl>(std::move(options))) {}

DurableStreamServer::~DurableStreamServer() { stop(); }

http::Handler DurableStreamServer::handler() {
  return [core = impl_->core](http::Request&& request, http::Responder answer) {
    core->handle(std::move(request), std::move(answer));
  };
}

void DurableStreamServer::stop() { impl_->core->stop(); }
void DurableStreamServer::appended(std::string_view path) { impl_->core->subscriptions().appended(path); }
void DurableStreamServer::rotateWebhookKey() { impl_->core->subscriptions().rotateKey(); }

DurableStreamServerStats DurableStreamServer::stats() const {
  detail::ServerCore& core = *impl_->core;
  return {.appends = core.appends.load(),
          .duplicates = core.duplicates.load(),
          .reads = core.reads.load(),
          .refused = core.refused.load(),
          .liveReaders = core.hub().size(),
          .webhooks = core.subscriptions().webhooks(),
          .webhookFailures = core.subscriptions().failures()};
}

Authorise bearerToken(std::string token) {
  if (token.empty()) throw Error(ErrorCode::invalidConfig, Retry::never, "a bearer token must not be empty");
  return [expected = "Bearer " + std::move(token)](const AccessRequest& access) {
    if (access.action == StreamAction::keys) return Access::allowed;
    const std::string* field = access.request.headers.find("Authorization");
    if (field == nullptr) return Access::unauthenticated;
    return detail::equalInConstantTime(*field, expected) ? Access::allowed : Access::unauthenticated;
  };
}

http::Cors streamCors(std::vector<std::string> origins) {
  return {
      .origins = std::move(origins),
      .methods = {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"},
      .requestHeaders = {"Content-Type", "Authorization", "If-None-Match", "Stream-Seq", "Stream-TTL",
                         "Stream-Expires-At", "Stream-Closed", "Producer-Id", "Producer-Epoch", "Producer-Seq",
                         "Stream-Forked-From", "Stream-Fork-Offset", "Stream-Fork-Sub-Offset"},
      .exposed = {"Stream-Next-Offset", "Stream-Cursor", "Stream-Up-To-Date", "Stream-Closed", "Stream-TTL",
                  "Stream-Expires-At", "Stream-SSE-Data-Encoding", "Producer-Epoch", "Producer-Seq",
                  "Producer-Expected-Seq", "Producer-Received-Seq", "ETag", "Location", "Content-Encoding", "Vary"}};
}

}  // namespace tidegate::durable_streams
