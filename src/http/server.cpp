#include "tidegate/http/server.h"

#include <fmt/format.h>

#include <optional>
#include <thread>

#include "http/detail/acceptor.h"
#include "http/detail/tls.h"
#include "tidegate/core/error.h"

namespace tidegate::http {

struct Server::Impl {
  Impl(ServerOptions options, Handler handler);

  void run(std::function<void(detail::Loop&)> each);
  void joinAll();
  ServerStats stats() const;
  std::string metrics() const;

  detail::ServerContext context;
  std::vector<std::shared_ptr<detail::Loop>> loops{};
  std::optional<detail::Acceptor> acceptor{};
  std::vector<std::jthread> threads{};
  std::uint16_t port = 0;
  std::function<void()> onStopping{};
  bool started = false;
  bool stopped = false;
};

namespace {

[[noreturn]] void badOption(const std::string& why) { throw Error(ErrorCode::invalidConfig, Retry::never, why); }

void checkOptions(const ServerOptions& options, const Handler& handler) {
  if (!handler) badOption("a server needs a handler");
  if (options.threads == 0 || options.threads > 256) badOption("ServerOptions::threads is 1 to 256");
  if (options.spin.count() < 0) badOption("ServerOptions::spin is zero or more");
  const Limits& limits = options.limits;
  if (limits.headerBytes < 128 || limits.targetBytes == 0 || limits.connections == 0) {
    badOption("Limits: headerBytes is at least 128, targetBytes and connections at least 1");
  }
  for (const auto time : {limits.headerTimeout, limits.bodyTimeout, limits.idleTimeout, limits.writeTimeout}) {
    if (time.count() <= 0) badOption("Limits: a timeout is more than zero");
  }
  boost::system::error_code error;
  detail::asio::ip::make_address(options.address, error);
  if (error) badOption("ServerOptions::address \"" + options.address + "\" is no numeric address");
  if (options.tls.certificate.empty() != options.tls.key.empty()) badOption("TlsFiles: give both certificate and key");
  if (options.tls.certificate.empty() && !options.tls.clientAuthority.empty()) {
    badOption("TlsFiles: clientAuthority needs certificate and key");
  }
}

}  // namespace

Server::Impl::Impl(ServerOptions options, Handler handler) : context(std::move(options), std::move(handler)) {
  if (!context.options.tls.certificate.empty()) context.tls = detail::serverTls(context.options.tls);
  context.metrics = [this] { return metrics(); };
  for (unsigned i = 0; i < context.options.threads; ++i) loops.push_back(std::make_shared<detail::Loop>(context));
}

/// Runs `each` on every loop's thread.
void Server::Impl::run(std::function<void(detail::Loop&)> each) {
  for (const auto& loop : loops) detail::asio::post(loop->io(), [to = loop.get(), each] { each(*to); });
}

void Server::Impl::joinAll() {
  threads.clear();
  acceptor.reset();
}

ServerStats Server::Impl::stats() const {
  ServerStats all{.open = context.open.load()};
  for (const auto& loop : loops) {
    const detail::Counters& one = loop->counters();
    all.requests += one.requests.load(std::memory_order_relaxed);
    all.connections += one.connections.load(std::memory_order_relaxed);
    all.streams += one.streams.load(std::memory_order_relaxed);
    all.bytesIn += one.bytesIn.load(std::memory_order_relaxed);
    all.bytesOut += one.bytesOut.load(std::memory_order_relaxed);
    all.refused += one.refused.load(std::memory_order_relaxed);
  }
  return all;
}

std::string Server::Impl::metrics() const {
  const ServerStats now = stats();
  std::string out;
  const auto line = [&out](std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help, type, value);
  };
  line("tidegate_http_requests_total", "counter", "Requests answered, whatever the status.", now.requests);
  line("tidegate_http_refused_total", "counter", "Requests ended by a limit or malformed.", now.refused);
  line("tidegate_http_connections_total", "counter", "Connections accepted.", now.connections);
  line("tidegate_http_connections", "gauge", "Connections open.", now.open);
  line("tidegate_http_streams", "gauge", "Answers being written piece by piece.", now.streams);
  line("tidegate_http_received_bytes_total", "counter", "Octets read from connections.", now.bytesIn);
  line("tidegate_http_sent_bytes_total", "counter", "Octets written to connections.", now.bytesOut);
  return out;
}

Server::Server(ServerOptions options, Handler handler) {
  checkOptions(options, handler);
  impl_ = std::make_unique<Impl>(std::move(options), std::move(handler));
}

Server::~Server() { stop(std::chrono::milliseconds(0)); }

void Server::start() {
  if (impl_->started) throw Error(ErrorCode::invalidArgument, Retry::never, "the server was started already");
  impl_->acceptor.emplace(impl_->context, impl_->loops);
  impl_->port = impl_->acceptor->open();
  impl_->started = true;
  impl_->acceptor->start();
  for (const auto& loop : impl_->loops) impl_->threads.emplace_back([loop] { loop->run(); });
}

bool Server::stop(std::chrono::milliseconds deadline) {
  Impl& impl = *impl_;
  if (!impl.started || std::exchange(impl.stopped, true)) return !impl.context.cutSomething;
  const auto until = std::chrono::steady_clock::now() + deadline;
  impl.context.draining = true;
  detail::asio::post(impl.loops.front()->io(), [&impl] { impl.acceptor->close(); });
  if (impl.onStopping) impl.onStopping();
  impl.run([](detail::Loop& loop) { loop.drain(); });
  {
    std::unique_lock lock(impl.context.mutex);
    impl.context.emptied.wait_until(lock, until, [&] { return impl.context.open == 0; });
  }
  impl.run([](detail::Loop& loop) { loop.finish(); });
  impl.joinAll();
  impl.context.open = 0;  // one that was accepted for a thread that had ended already was closed with its queue
  return !impl.context.cutSomething;
}

void Server::onStopping(std::function<void()> then) { impl_->onStopping = std::move(then); }

std::uint16_t Server::port() const noexcept { return impl_->port; }

std::string Server::url() const {
  const ServerOptions& options = impl_->context.options;
  const bool six = options.address.find(':') != std::string::npos;
  return fmt::format("{}://{}{}{}:{}", options.tls.certificate.empty() ? "http" : "https", six ? "[" : "",
                     options.address, six ? "]" : "", impl_->port);
}

void Server::reloadTls() {
  if (impl_->context.options.tls.certificate.empty()) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "the server has no TLS to reload; give TlsFiles");
  }
  auto fresh = detail::serverTls(impl_->context.options.tls);
  const std::lock_guard lock(impl_->context.mutex);
  impl_->context.tls.swap(fresh);
}

ServerStats Server::stats() const { return impl_->stats(); }

}  // namespace tidegate::http
