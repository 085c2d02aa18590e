#include "electric/detail/source_exchange.h"

#include <fmt/format.h>

#include "electric/detail/source_url.h"

namespace tidegate::electric::reading {

void Exchange::start(http::Client& client, const SourceOptions& options, http::Headers headers) {
  client_ = &client;
  maxBodyBytes_ = options.maxBodyBytes;
  headers.set("accept", request_.kind == RequestKind::events ? "text/event-stream" : "application/json");
  http::ClientRequest request{.url = urlOf(options, reader_->shape(), request_),
                              .headers = std::move(headers),
                              .timeout = request_.waits() ? std::chrono::milliseconds(0) : options.pageTimeout,
                              .idleTimeout = request_.waits() ? options.liveTimeout : std::chrono::milliseconds(0)};
  const auto self = shared_from_this();
  id_ = client.start(std::move(request), {.onHead = [self](const http::Response& head) { return self->onHead(head); },
                                          .onData = [self](std::string_view piece) { return self->onData(piece); },
                                          .onDone = [self](const http::Outcome& out) { self->onDone(out); }});
}

void Exchange::forget(http::Client& client) {
  if (done_ || reader_ == nullptr) return;
  reader_->onCancelled(request_);
  reader_ = nullptr;
  client.cancel(id_);
}

bool Exchange::isUnwanted() const {
  return reader_ != nullptr && !done_ &&
         (!reader_->isCurrent(request_) || (request_.kind == RequestKind::events && reader_->full()));
}

bool Exchange::onHead(const http::Response& head) {
  if (reader_ == nullptr) return false;
  head_ = head;
  if (request_.kind != RequestKind::events || head.status != 200) return true;
  const bool endless = head.headers.get("content-type").starts_with("text/event-stream");
  if (!reader_->onEventsBegin(request_, head.headers)) {
    return !endless && reader_->isCurrent(request_) && !reader_->failing();
  }
  events_.emplace([this](const http::SseEvent& event) { reader_->onEvent(request_, event.data); }, maxBodyBytes_);
  return true;
}

bool Exchange::onData(std::string_view piece) {
  if (reader_ == nullptr) return false;
  if (events_) {
    try {
      events_->feed(piece);
    } catch (const Error& e) {
      reader_->onFailure(request_, e);
    }
    client_->wake();  // it waits for requests that end, and this one goes on
    return reader_->isCurrent(request_) && !reader_->failing() && !reader_->fatal();
  }
  tooLarge_ = body_.size() + piece.size() > maxBodyBytes_;
  if (!tooLarge_) body_.append(piece);
  return !tooLarge_;
}

void Exchange::onDone(const http::Outcome& outcome) {
  done_ = true;
  if (reader_ == nullptr) return;
  if (tooLarge_) {
    return reader_->onFailure(request_,
                              Error(ErrorCode::parseError, Retry::later,
                                    fmt::format("the answer is larger than maxBodyBytes, {}", maxBodyBytes_)));
  }
  if (outcome.error && outcome.error->code() == ErrorCode::queryCancelled) return reader_->onCancelled(request_);
  if (outcome.error) return reader_->onFailure(request_, *outcome.error);
  if (events_) return reader_->onEventsEnd(request_);
  reader_->onAnswer(request_, head_.status, head_.headers, body_);
}

}  // namespace tidegate::electric::reading
