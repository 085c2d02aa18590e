#include "tidegate/electric/shape_server.h"

#include <utility>
#include <vector>

#include "electric/detail/shape_exchange.h"
#include "tidegate/core/error.h"

namespace tidegate::electric {
namespace {

using detail::BadParameter;
using detail::shapeError;
using detail::ShapeRequest;

http::Response refusal(const ShapeGrant& grant) {
  const int status = grant.status >= 400 && grant.status <= 599 ? grant.status : 403;
  return shapeError(status, grant.message.empty() ? std::string(http::reasonPhrase(status)) : grant.message);
}

}  // namespace

struct ShapeServer::Impl {
  Impl(std::shared_ptr<ShapeFeed> f, ShapeServerOptions options)
      : feed(std::move(f)), core(std::make_shared<detail::ServerCore>(std::move(options))) {}

  static void handle(const std::shared_ptr<Impl>& self, http::Request&& request, http::Responder responder);
  http::Response erase(ShapeFeed::Impl& held, const ShapeRequest& request, const ShapeGrant& grant) const;

  const std::shared_ptr<ShapeFeed> feed;
  const std::shared_ptr<detail::ServerCore> core;
};

ShapeServer::ShapeServer(std::shared_ptr<ShapeFeed> feed, ShapeServerOptions options) {
  if (feed == nullptr && !options.authorise) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "a shape server needs a feed, or `authorise` that gives one");
  }
  if (options.longPoll.count() <= 0 || options.eventStream.count() <= 0 || options.keepAlive.count() <= 0) {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                "shape server: longPoll, eventStream and keepAlive must be positive");
  }
  impl_ = std::make_shared<Impl>(std::move(feed), std::move(options));
}

ShapeServer::~ShapeServer() = default;

http::Response ShapeServer::Impl::erase(ShapeFeed::Impl& held, const ShapeRequest& request,
                                        const ShapeGrant& grant) const {
  if (!core->options.allowDeletion) return shapeError(404, "shape deletion is not enabled");
  std::string handle = request.query.handle;
  if (!request.query.table.empty()) {
    const Shape table = detail::findShapeTable(held.hub, request.query.table);
    if (table == nullptr) throw BadParameter{"table", "does not exist or is not served"};
    const detail::ShapeDefinition definition = detail::defineShape(table, request, grant, core->options.where);
    const std::string current = held.hub.handleOf(definition.identity());
    if (current.empty() || (!handle.empty() && held.hub.find(handle, definition.identity()).first == nullptr)) {
      return shapeError(404, "Shape not found");
    }
    handle = current;
  }
  if (held.hub.rotate({}, handle) == 0) return shapeError(404, "Shape not found");
  return {.status = 202};
}

void ShapeServer::Impl::handle(const std::shared_ptr<Impl>& self, http::Request&& request, http::Responder responder) {
  if (request.method == "OPTIONS") {
    http::Response response{.status = 204};
    response.headers.set("allow", "GET, HEAD, DELETE, OPTIONS");
    return responder.send(std::move(response));
  }
  if (request.method != "GET" && request.method != "HEAD" && request.method != "DELETE") {
    http::Response response = shapeError(405, "Method Not Allowed");
    response.headers.set("allow", "GET, HEAD, DELETE, OPTIONS");
    return responder.send(std::move(response));
  }
  try {
    ShapeRequest asked = detail::readShapeRequest(request);
    ShapeGrant grant;
    if (self->core->options.authorise) grant = self->core->options.authorise(request, asked.query);
    if (grant.status != 200) return responder.send(refusal(grant));
    const std::shared_ptr<ShapeFeed>& feed = grant.feed != nullptr ? grant.feed : self->feed;
    if (feed == nullptr) return responder.send(shapeError(403, "nothing is served to this request"));
    const auto held = feed->impl_;
    if (asked.query.deletion) return responder.send(self->erase(*held, asked, grant));
    std::make_shared<detail::ShapeExchange>(self->core, held, std::move(asked), std::move(grant), std::move(responder))
        ->run();
  } catch (const BadParameter& bad) {
    responder.send(shapeError(400, "Invalid request", bad.name, bad.why));
  }
}

http::Handler ShapeServer::handler() const {
  return [impl = impl_](http::Request&& request, http::Responder responder) {
    Impl::handle(impl, std::move(request), std::move(responder));
  };
}

void ShapeServer::finish() {
  std::vector<std::shared_ptr<detail::ShapeExchange>> waiting;
  impl_->core->finishing = true;
  {
    const std::lock_guard lock(impl_->core->mutex);
    for (const auto& [raw, exchange] : impl_->core->waiting) {
      if (auto held = exchange.lock()) waiting.push_back(std::move(held));
    }
  }
  for (const auto& exchange : waiting) exchange->wake();
}

http::Cors ShapeServer::cors(std::vector<std::string> origins) {
  return {.origins = std::move(origins),
          .methods = {"GET", "HEAD", "POST", "DELETE", "OPTIONS"},
          .exposed = {"electric-cursor", "electric-handle", "electric-has-data", "electric-offset", "electric-schema",
                      "electric-up-to-date", "etag", "retry-after"}};
}

}  // namespace tidegate::electric
