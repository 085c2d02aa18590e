#include "service.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <vector>

#include "tidegate/http/server.h"
#include "tidegate/mysql/job_driver.h"
#include "tidegate/postgres/job_driver.h"
#include "tidegate/postgres/source.h"
#include "tidegate/server/auth.h"
#include "tidegate/server/change_feed.h"
#include "tidegate/server/engine_api.h"
#include "tidegate/server/jobs_api.h"
#include "tidegate/server/status_page.h"
#include "tidegate/server/sync_api.h"
#include "tidegate/sqlite/gateway_store.h"
#include "tidegate/sqlite/job_driver.h"
#include "tidegate/sqlite/job_store.h"
#include "tidegate/sqlite/sink.h"

using namespace tidegate;

namespace {

constexpr auto kDrainWithin = std::chrono::seconds(10);

std::shared_ptr<const server::Authenticator> authenticatorOf(const ServerConfig& config) {
  if (!config.hasAuth()) return nullptr;
  server::AuthOptions options;
  for (const TokenConfig& token : config.tokens) {
    options.tokens.push_back({.token = token.token,
                              .role = token.admin ? server::Role::admin : server::Role::client,
                              .subject = token.subject.empty() ? "admin" : token.subject});
  }
  if (!config.jwtSecret.empty() || !config.jwtPublicKey.empty()) {
    server::JwtOptions jwt{.issuer = config.jwtIssuer};
    if (!config.jwtAudience.empty()) jwt.audiences = {config.jwtAudience};
    options.jwt =
        server::JwtVerifier(std::move(jwt), std::make_shared<server::FixedJwtKeys>(std::vector<server::JwtKey>{
                                                config.jwtSecret.empty() ? server::JwtKey::pem(config.jwtPublicKey)
                                                                         : server::JwtKey::secret(config.jwtSecret)}));
  }
  return std::make_shared<server::TokenAuthenticator>(std::move(options));
}

}  // namespace

struct Service::Impl {
  explicit Impl(const ServerConfig& given) : config(given) {
    std::filesystem::create_directories(config.data);
    ::chmod(config.data.c_str(), 0700);
    addGateways();
    if (config.jobs) addJobs();
    addEngines();
    server::addChangeFeed(api, feed);
    server::addStatusPage(api);
    server::addOpenApiDocument(api);
    http.emplace(http::ServerOptions{.address = config.address,
                                     .port = static_cast<std::uint16_t>(config.port),
                                     .threads = static_cast<unsigned>(config.threads),
                                     .cors = {.origins = config.origins},
                                     .tls = {.certificate = config.certificate, .key = config.key},
                                     .healthPath = "/healthz"},
                 api.handler(authenticatorOf(config)));
    // Callers that wait for a run are answered while connections still live.
    http->onStopping([this] {
      if (sync) sync->stop();
      if (jobs) jobs->stop();
    });
  }

  std::string file(const std::string& name) const { return config.data + "/" + name; }
  std::shared_ptr<Sink> replica() const { return feed->watched(sqlite::sink({.path = file("replica.db")})); }

  void addGateways() {
    if (config.gateways.empty()) return;
    std::vector<server::ServedGateway> served;
    for (const std::string& name : config.gateways) {
      gateways.push_back(std::make_unique<Gateway>(
          GatewayOptions{.store = sqlite::gatewayStore({.path = file("gateway-" + name + ".db")})}));
      served.push_back({.name = name, .gateway = gateways.back().get()});
    }
    sync.emplace(std::move(served));
    sync->addTo(api);
  }
  void addJobs() {
    jobs.emplace(ReplicationJobsOptions{.store = sqlite::jobStore(file("jobs.db")),
                                        .key = JobKey::fromFile(file("jobs.key")),
                                        .drivers = {{Dialect::postgres, postgres::jobDriver()},
                                                    {Dialect::mysql, mysql::jobDriver()},
                                                    {Dialect::sqlite, sqlite::jobDriver()}},
                                        .replica = [this] { return replica(); },
                                        .workers = config.jobWorkers,
                                        .observer = feed->jobObserver()});
    server::addJobsApi(api, *jobs);
  }
  void addEngines() {
    std::vector<server::AdministeredEngine> named;
    for (const EngineConfig& one : config.engines) {
      PipelineSpec pipeline{.name = one.name, .source = one.name, .sink = replica()};
      for (const std::string& table : one.tables) pipeline.tables.push_back({.table = table});
      engines.push_back(std::make_unique<Engine>(EngineOptions{
          .sources = {{.name = one.name,
                       .source = postgres::source(
                           {.connect = {.url = one.url}, .slot = one.slot, .publication = {.name = one.publication}})}},
          .pipelines = {std::move(pipeline)},
          .observer = observers({logObserver(), feed->engineObserver(one.name)})}));
      named.push_back({.name = one.name, .engine = engines.back().get()});
    }
    server::addEngineApi(api, std::move(named));
  }

  // What is served outlives what serves it: members end in the reverse of this order.
  ServerConfig config;
  std::shared_ptr<server::ChangeFeed> feed = std::make_shared<server::ChangeFeed>();
  std::vector<std::unique_ptr<Gateway>> gateways;
  std::optional<server::SyncApi> sync;
  std::optional<ReplicationJobs> jobs;
  std::vector<std::unique_ptr<Engine>> engines;
  server::Api api{{.title = "tidegate-server", .version = TIDEGATE_SERVER_VERSION}};
  std::optional<http::Server> http;
};

Service::Service(const ServerConfig& config) : impl_(std::make_unique<Impl>(config)) {}
Service::~Service() { stop(); }

void Service::start() {
  for (const auto& engine : impl_->engines) engine->start();
  if (impl_->jobs) impl_->jobs->start();
  impl_->http->start();
}

std::string Service::url() const { return impl_->http->url(); }
void Service::reloadTls() { impl_->http->reloadTls(); }

bool Service::stop() {
  bool drained = impl_->http->stop(kDrainWithin);
  if (impl_->jobs) impl_->jobs->stop();
  for (const auto& engine : impl_->engines) drained = engine->stop(kDrainWithin) == StopOutcome::drained && drained;
  return drained;
}
