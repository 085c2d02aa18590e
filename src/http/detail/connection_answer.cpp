#include <spdlog/spdlog.h>

#include <array>
#include <charconv>

#include "http/detail/connection.h"
#include "http/detail/gzip.h"
#include "http/detail/target.h"
#include "http/detail/text.h"
#include "tidegate/core/error.h"

namespace tidegate::http::detail {

/// A request is whole.
void Connection::serve() {
  const ServerOptions& options = server_.options;
  keepAlive_ = reader_.keepAlive() && !server_.draining.load(std::memory_order_relaxed);
  http10_ = reader_.http10();
  Request request = std::move(reader_.request());
  reader_.next();
  request.remoteAddress = remote_;
  request.tls = tls_ != nullptr;
  headOnly_ = request.method == "HEAD";
  gzipWanted_ = options.compressFrom > 0 && acceptsGzip(request.headers.get("accept-encoding"));
  corsFields_ = server_.cors.fieldsFor(request);
  chunked_ = streaming_ = bodiless_ = events_ = false;
  wait_ = Wait::nothing;  // each request has its own time
  if (server_.accessLog) {
    line_ = std::make_unique<Line>(Line{request.method, request.target, 0, std::chrono::steady_clock::now()});
  }
  const auto exchange = std::make_shared<Exchange>(loop_.shared_from_this(), this);
  current_ = exchange;
  exchange->hold();
  callHandler(std::move(request), exchange);
  take(exchange);
}

void Connection::callHandler(Request&& request, const std::shared_ptr<Exchange>& exchange) {
  try {
    if (auto response = ownAnswer(request)) {
      exchange->send(*std::move(response));
    } else {
      server_.handler(std::move(request), Responder(exchange));
    }
  } catch (...) {
    exchange->send(responseForException());
  }
}

/// Preflights, health and metrics: answered without the handler.
std::optional<Response> Connection::ownAnswer(const Request& request) {
  if (auto preflight = server_.cors.preflight(request)) {
    preflightFields_ = server_.cors.preflightFields(request);
    corsFields_ = preflightFields_;
    return preflight;
  }
  if (listHas(request.headers.get("upgrade"), "websocket") && !server_.cors.mayUpgrade(request)) {
    return problem(403, "pages of this origin may not open WebSockets here");
  }
  const ServerOptions& options = server_.options;
  const auto asks = [&](const std::string& path) {
    return !path.empty() && request.path == path && (request.method == "GET" || request.method == "HEAD");
  };
  if (asks(options.healthPath)) return Response{.headers = {{"content-type", "text/plain"}}, .body = "ok\n"};
  if (asks(options.readyPath)) {
    const bool ready = !server_.draining && (!options.ready || options.ready());
    if (!ready) return problem(503, "not ready");
    return Response{.headers = {{"content-type", "text/plain"}}, .body = "ready\n"};
  }
  if (!asks(options.metricsPath)) return std::nullopt;
  Response response{.headers = {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}}};
  response.body = server_.metrics() + (options.metrics ? options.metrics() : std::string());
  return response;
}

void Connection::advance(const std::shared_ptr<Exchange>& exchange) {
  take(exchange);
  if (!closed_) process();
}

/// Does what the answering side has left.
void Connection::take(const std::shared_ptr<Exchange>& exchange) {
  Exchange::Work work = exchange->take();
  if (eof_ && exchange->watched()) return gone();
  for (auto& [when, then] : work.timers) timers_.push_back(loop_.addTimer(when, {this, std::move(then)}));
  if (work.response) {
    if (work.upgraded) {
      beginUpgrade(*work.response, std::move(work.upgraded));
    } else if (work.streamBegins) {
      beginStream(*work.response);
    } else {
      answer(*work.response);
    }
  }
  if (streaming_) writePieces(work.pieces);
  if (work.aborted) return gone(false);
  if (work.ended) endStream();
  for (const Exchange::Callback& posted : work.posted) runForExchange(posted);
}

void Connection::runForExchange(const Exchange::Callback& then) {
  if (!then) return;
  const std::shared_ptr<Exchange> exchange = current_;
  try {
    then();
  } catch (...) {
    if (exchange && !exchange->send(responseForException()) && exchange->streaming()) exchange->abort();
  }
}

HeadShape Connection::shape() {
  return {.keepAlive = keepAlive_,
          .http10 = http10_,
          .date = loop_.date().now(),
          .own = server_.serverField,
          .cors = corsFields_};
}

void Connection::appendHeadOr500(Response& response, HeadShape& shape) {
  std::string& tail = out_.tail();
  const std::size_t before = tail.size();
  if (!appendHead(response, shape, tail)) {
    spdlog::error("http: an answer's header field holds a control character; 500 was sent in its place");
    response = problem(500, "the answer was malformed");
    shape.length = response.body.size();
    shape.gzip = shape.varies = shape.chunked = false;
    appendHead(response, shape, tail);
  }
  out_.grew(tail.size() - before);
  if (line_) line_->status = response.status;
}

void Connection::answer(Response& response) {
  HeadShape head = shape();
  const std::size_t from = server_.options.compressFrom;
  if (from > 0 && response.body.size() >= from && isCompressible(response)) {
    head.varies = true;
    if (auto smaller = gzipWanted_ ? gzip(response.body) : std::nullopt) {
      response.body = *std::move(smaller);
      head.gzip = true;
    }
  }
  if (!bodiless(response.status)) head.length = response.body.size();
  appendHeadOr500(response, head);
  if (!headOnly_ && !bodiless(response.status)) out_.append(std::move(response.body));
  finishExchange();
}

void Connection::beginStream(const Response& response) {
  bodiless_ = headOnly_ || bodiless(response.status);
  chunked_ = !http10_ && !bodiless(response.status);
  if (http10_) keepAlive_ = false;
  events_ = startsWithName(response.headers.get("content-type"), "text/event-stream");
  HeadShape head = shape();
  head.chunked = chunked_;
  Response copy = response;
  appendHeadOr500(copy, head);
  if (copy.status != response.status) {
    out_.append(std::move(copy.body));
    return finishExchange();
  }
  streaming_ = true;
  Counters::add<std::size_t>(loop_.counters().streams);
  if (server_.draining && events_) current_->end();
}

void Connection::beginUpgrade(Response& response, std::shared_ptr<Upgraded> reader) {
  keepAlive_ = chunked_ = bodiless_ = events_ = false;
  HeadShape head = shape();
  head.upgrade = true;
  appendHeadOr500(response, head);
  streaming_ = true;
  upgraded_ = std::move(reader);
  Counters::add<std::size_t>(loop_.counters().streams);
  if (server_.draining) upgraded_->onDrain();
}

/// @return whether it may take more now.
bool Connection::feedUpgraded() {
  if (!upgraded_->reads()) return false;
  const std::shared_ptr<Upgraded> upgraded = upgraded_;
  const std::shared_ptr<Exchange> exchange = current_;
  exchange->hold();
  const std::size_t used = upgraded->onOctets(input_.view());
  input_.consume(used);
  take(exchange);
  return used > 0;
}

void Connection::writePieces(std::vector<std::string>& pieces) {
  if (pieces.empty() || bodiless_) return;
  std::size_t total = 0;
  for (const std::string& piece : pieces) total += piece.size();
  if (chunked_) {
    std::array<char, 18> size;
    const auto [end, failure] = std::to_chars(size.data(), size.data() + size.size(), total, 16);
    static_cast<void>(failure);
    out_.append(std::string_view(size.data(), static_cast<std::size_t>(end - size.data())));
    out_.append(std::string_view("\r\n"));
  }
  for (std::string& piece : pieces) out_.append(std::move(piece));
  if (chunked_) out_.append(std::string_view("\r\n"));
  current_->holds(pendingOctets());
}

void Connection::endStream() {
  if (!streaming_) return;
  if (chunked_ && !bodiless_) out_.append(std::string_view("0\r\n\r\n"));
  finishExchange();
}

/// The answer is whole: the connection may serve its next request.
void Connection::finishExchange() {
  if (upgraded_) linger_ = true;  // the peer may still be sending: it must be able to read the goodbye
  const std::shared_ptr<Upgraded> upgraded = std::move(upgraded_);
  const std::shared_ptr<Exchange> exchange = std::move(current_);
  for (const auto timer : timers_) loop_.removeTimer(timer);
  timers_.clear();
  if (std::exchange(streaming_, false)) {
    Counters::add<std::size_t>(loop_.counters().streams, static_cast<std::size_t>(-1));
  }
  Counters::add<std::uint64_t>(loop_.counters().requests);
  if (!keepAlive_) closing_ = true;
  if (line_) logAccess();
  exchange->finish();
}

/// Answers what is no request, or took too long: the connection cannot go on.
void Connection::refuse(int status, std::string_view why) {
  keepAlive_ = false;
  http10_ = headOnly_ = false;
  corsFields_ = {};
  Response response = problem(status, why);
  HeadShape head = shape();
  head.length = response.body.size();
  if (server_.accessLog) line_ = std::make_unique<Line>(Line{"-", "-", status, std::chrono::steady_clock::now()});
  appendHeadOr500(response, head);
  out_.append(std::move(response.body));
  Counters::add<std::uint64_t>(loop_.counters().requests);
  Counters::add<std::uint64_t>(loop_.counters().refused);
  closing_ = linger_ = true;
  if (line_) logAccess();
}

void Connection::logAccess() {
  const std::unique_ptr<Line> line = std::move(line_);
  const auto took = std::chrono::steady_clock::now() - line->begun;
  server_.accessLog->info(
      "{} \"{} {}\" {} {} us{}", remote_.empty() ? "-" : remote_, line->method, redactTarget(line->target),
      line->status, std::chrono::duration_cast<std::chrono::microseconds>(took).count(), closed_ ? " (peer gone)" : "");
}

}  // namespace tidegate::http::detail
