/// Postgres and durable streams, both ways: rows of `items` become a stream that browsers follow, and what browsers
/// post becomes rows of `session_events`. See docs/sync-layer.md.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>

#include "bridge.h"
#include "demo.h"
#include "page.h"
#include "settings.h"
#include "tidegate/durable_streams/file_store.h"
#include "tidegate/durable_streams/server.h"
#include "tidegate/http/server.h"

using namespace tidegate;

namespace {

constexpr auto kStopWithin = std::chrono::seconds(5);

/// The page's server, and where there is no other the streams' too.
class WebSide {
 public:
  explicit WebSide(const SyncSettings& settings) {
    http::Router router;
    if (settings.streamUrl.empty()) {
      streams_.emplace(durable_streams::DurableStreamServerOptions{
          .store = durable_streams::fileStreamStore({.folder = settings.data})});
      router.mount(kStreamBase, streams_->handler());
      addPage(router, kStreamBase);
    } else {
      addPage(router, settings.streamUrl + kStreamBase);
    }
    server_ = std::make_unique<http::Server>(http::ServerOptions{.port = settings.port, .healthPath = "/healthz"},
                                             router.handler());
    if (streams_) server_->onStopping([this] { streams_->stop(); });
    server_->start();
    streamUrl_ = (settings.streamUrl.empty() ? server_->url() : settings.streamUrl) + kStreamBase;
  }
  ~WebSide() { server_->stop(kStopWithin); }

  std::string url() const { return server_->url(); }
  const std::string& streamUrl() const { return streamUrl_; }

 private:
  std::optional<durable_streams::DurableStreamServer> streams_;
  std::unique_ptr<http::Server> server_;
  std::string streamUrl_;
};

int run(const SyncSettings& settings) {
  // Before any thread starts, so that only sigwait takes the signals.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const WebSide web(settings);
  prepareDatabase(settings);
  Engine bridge(makeBridge(settings, web.streamUrl()));
  bridge.start();
  fmt::print("Page: {}\nStreams: {}\n", web.url(), web.streamUrl());
  std::fflush(stdout);
  if (!bridge.awaitReady(std::chrono::minutes(5))) fmt::print("the baselines are not whole yet\n");
  fmt::print("Ready: following {}\n", settings.electricUrl.empty() ? "logical replication" : settings.electricUrl);
  std::fflush(stdout);
  bool good = true;
  if (settings.demo) {
    good = runDemo(settings, web.streamUrl());
  } else {
    int signal = 0;
    sigwait(&signals, &signal);
  }
  bridge.stop(kStopWithin);
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(readSettings(argc, argv));
  } catch (const std::exception& e) {
    fmt::print(stderr, "sync_layer: {}\n", e.what());
    return 2;
  }
}
