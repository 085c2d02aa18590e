#include "tidegate/http/client.h"

#include "http/detail/client_impl.h"

namespace tidegate::http {

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Response Client::perform(const ClientRequest& request, std::stop_token stop) {
  Outcome outcome = impl_->withRetries(request, {}, stop);
  if (outcome.error) throw *outcome.error;
  return std::move(outcome.response);
}

void Client::stream(const ClientRequest& request, const std::function<bool(const Response& head)>& onHead,
                    const std::function<bool(std::string_view piece)>& onData, std::stop_token stop) {
  Callbacks callbacks{.onHead = onHead, .onData = onData};
  if (!callbacks.onHead) callbacks.onHead = [](const Response&) { return true; };
  if (!callbacks.onData) callbacks.onData = [](std::string_view) { return true; };
  const Outcome outcome = impl_->withRetries(request, callbacks, stop);
  if (outcome.error) throw *outcome.error;
}

Client::Id Client::start(ClientRequest request, Callbacks callbacks) {
  return impl_->start(std::move(request), std::move(callbacks));
}

void Client::cancel(Id id) { impl_->cancel(id); }

void Client::hold(Id id, bool held) { impl_->hold(id, held); }

std::size_t Client::running() const noexcept { return impl_->transfers.size(); }

void Client::run(std::chrono::milliseconds wait, std::stop_token stop) { impl_->run(wait, stop); }

void Client::wake() noexcept { impl_->wake(); }

}  // namespace tidegate::http
