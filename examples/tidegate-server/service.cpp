#include "service.h"

#include <spdlog/spdlog.h>
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <thread>
#include <vector>

#include "counters.h"
#include "engines.h"
#include "kept.h"
#include "tidegate/core/error.h"
#include "tidegate/http/server.h"
#include "tidegate/mysql/job_driver.h"
#include "tidegate/postgres/job_driver.h"
#include "tidegate/server/auth.h"
#include "tidegate/server/change_feed.h"
#include "tidegate/server/engine_api.h"
#include "tidegate/server/jobs_api.h"
#include "tidegate/server/jwks.h"
#include "tidegate/server/rate_limit.h"
#include "tidegate/server/status_page.h"
#include "tidegate/server/sync_api.h"
#include "tidegate/sqlite/gateway_store.h"
#include "tidegate/sqlite/job_driver.h"
#include "tidegate/sqlite/job_store.h"
#include "tidegate/sqlite/sink.h"

using namespace tidegate;

namespace {

constexpr auto kDrainWithin = std::chrono::seconds(10);

constexpr auto kEnginePause = std::chrono::seconds(10);  // before an engine that did not start is tried again

std::shared_ptr<server::Jwks> jwksOf(const ServerConfig& config) {
  if (!config.hasJwks()) return nullptr;
  return std::make_shared<server::Jwks>(server::JwksOptions{.url = config.jwksUrl,
                                                            .file = config.jwksFile,
                                                            .allowPrivateAddresses = config.jwksPrivate,
                                                            .authorityFile = config.jwksCaFile});
}

std::shared_ptr<const server::JwtKeys> jwtKeysOf(const ServerConfig& config) {
  return std::make_shared<server::FixedJwtKeys>(std::vector<server::JwtKey>{
      config.jwtSecret.empty() ? server::JwtKey::pem(config.jwtPublicKey) : server::JwtKey::secret(config.jwtSecret)});
}

std::shared_ptr<const server::Authenticator> authenticatorOf(const ServerConfig& config,
                                                             std::shared_ptr<const server::JwtKeys> jwks) {
  if (!config.hasAuth()) return nullptr;
  server::AuthOptions options{.queryToken = config.queryToken};
  for (const TokenConfig& token : config.tokens) {
    options.tokens.push_back({.token = token.token,
                              .role = token.admin ? server::Role::admin : server::Role::client,
                              .subject = token.subject.empty() ? "admin" : token.subject});
  }
  if (config.hasJwt()) {
    server::JwtOptions jwt{.issuer = config.jwtIssuer};
    if (!config.jwtAudience.empty()) jwt.audiences = {config.jwtAudience};
    options.jwt = server::JwtVerifier(std::move(jwt), jwks ? std::move(jwks) : jwtKeysOf(config));
  }
  return std::make_shared<server::TokenAuthenticator>(std::move(options));
}

server::Rate rateOf(const RateConfig& given) {
  return {.perSecond = static_cast<double>(given.perSecond), .burst = static_cast<double>(given.burst)};
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
    http.emplace(serverOptions(), api.handler(authenticatorOf(config, jwks)));
    // Callers that wait for a run are answered while connections still live.
    http->onStopping([this] {
      if (sync) sync->stop();
      if (jobs) jobs->stop();
    });
  }

  http::ServerOptions serverOptions() const {
    http::Limits limits;
    limits.connections = config.connections;
    limits.connectionsPerAddress = config.connectionsPerAddress;
    return {.address = config.address,
            .port = static_cast<std::uint16_t>(config.port),
            .threads = static_cast<unsigned>(config.threads),
            .limits = limits,
            .cors = {.origins = config.origins, .exposed = {"X-Checkpoint-Hlc"}},
            .tls = {.certificate = config.certificate, .key = config.key},
            .healthPath = "/healthz",
            .metricsPath = config.metrics ? "/metrics" : "",
            .metrics = [this] {
              return engineCounters->text() + jobCounters->text() + gatewayMetrics(gatewaysByName) +
                     limitMetrics(limiter->stats());
            }};
  }

  std::string file(const std::string& name) const { return config.data + "/" + name; }
  std::shared_ptr<Sink> replica() const { return feed->watched(sqlite::sink({.path = file("replica.db")})); }

  void addGateways() {
    if (config.gateways.empty()) return;
    std::vector<server::ServedGateway> served;
    for (const std::string& name : config.gateways) {
      const auto kept = std::make_shared<KeptGateway>(file("gateway-" + name));
      gateways.push_back(std::make_unique<Gateway>(
          GatewayOptions{.rules = kept->rules(),
                         .schemas = kept->schemas(),
                         .store = sqlite::gatewayStore({.path = file("gateway-" + name + ".db")})}));
      Gateway* gateway = gateways.back().get();
      served.push_back({.name = name,
                        .gateway = gateway,
                        .onSyncRules = [kept, gateway](const SyncRules&) { kept->keepRulesOf(*gateway); },
                        .onSchema = [kept, gateway](const TableSchema&) { kept->keepSchemasOf(*gateway); }});
      gatewaysByName.emplace(name, gateways.back().get());
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
                                        .reservedTargets = enginesTargets(),
                                        .workers = config.jobWorkers,
                                        .observer = feed->jobObserver(jobCounters)});
    server::addJobsApi(api, *jobs);
  }
  /// What engines keep in the replica is not for jobs.
  std::vector<std::string> enginesTargets() const {
    std::vector<std::string> tables;
    for (const EngineConfig& one : config.engines) {
      if (one.into.kind != EngineConfig::Kind::unknown) continue;
      for (std::string& target : one.targets()) tables.push_back(std::move(target));
    }
    return tables;
  }
  void addEngines() {
    std::vector<server::AdministeredEngine> named;
    for (const EngineConfig& one : config.engines) {
      const bool own = one.into.kind != EngineConfig::Kind::unknown;
      const auto letters = lettersOf(one, config.data);
      EngineOptions options =
          engineOptions(one, config.data, own ? feed->watched(sinkOf(one.into)) : replica(), letters);
      options.observer = observers({logObserver(), engineCounters, feed->engineObserver(one.name)});
      engines.push_back(std::make_unique<Engine>(std::move(options)));
      named.push_back({.name = one.name, .engine = engines.back().get()});
      if (letters) named.back().deadLetters.emplace(one.name, letters);
    }
    server::addEngineApi(api, std::move(named));
  }

  /// Starts what can be started. @return the engines that cannot be now.
  std::vector<std::size_t> startEngines(const std::vector<std::size_t>& which) {
    std::vector<std::size_t> left;
    for (const std::size_t i : which) {
      try {
        engines[i]->start();
      } catch (const Error& e) {
        spdlog::error("engine {}: did not start, and is tried again in {} s: {}", config.engines[i].name,
                      kEnginePause.count(), redactSecrets(e.message()));
        feed->note(config.engines[i].name, "did not start", e.message());
        left.push_back(i);
      }
    }
    return left;
  }
  void startEnginesAndRetry() {
    std::vector<std::size_t> all(engines.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    std::vector<std::size_t> left = startEngines(all);
    if (left.empty()) return;
    starter = std::jthread([this, left = std::move(left)](std::stop_token stop) mutable {
      while (!left.empty() && systemScheduler().waitFor(kEnginePause, stop)) left = startEngines(left);
    });
  }

  // What is served outlives what serves it: members end in the reverse of this order.
  ServerConfig config;
  std::shared_ptr<server::ChangeFeed> feed = std::make_shared<server::ChangeFeed>();
  std::shared_ptr<MetricsObserver> engineCounters = metricsObserver();
  std::shared_ptr<JobCounters> jobCounters = std::make_shared<JobCounters>();
  std::shared_ptr<server::RateLimiter> limiter = std::make_shared<server::RateLimiter>(
      server::RateLimitOptions{.perClient = rateOf(config.perClient), .perAddress = rateOf(config.perAddress)});
  std::shared_ptr<server::Jwks> jwks = jwksOf(config);
  std::vector<std::unique_ptr<Gateway>> gateways;
  std::map<std::string, const Gateway*> gatewaysByName;
  std::optional<server::SyncApi> sync;
  std::optional<ReplicationJobs> jobs;
  std::vector<std::unique_ptr<Engine>> engines;
  server::Api api{limiter->limit({.title = "tidegate-server", .version = TIDEGATE_SERVER_VERSION})};
  std::optional<http::Server> http;
  std::jthread starter;  ///< of engines that could not be started at first
};

Service::Service(const ServerConfig& config) : impl_(std::make_unique<Impl>(config)) {}
Service::~Service() { stop(); }

void Service::start() {
  if (impl_->jwks) impl_->jwks->start();
  impl_->startEnginesAndRetry();
  if (impl_->jobs) impl_->jobs->start();
  impl_->http->start();
}

std::string Service::url() const { return impl_->http->url(); }
void Service::reloadTls() { impl_->http->reloadTls(); }

bool Service::stop() {
  bool drained = impl_->http->stop(kDrainWithin);
  if (impl_->jobs) impl_->jobs->stop();
  impl_->starter = {};
  for (const auto& engine : impl_->engines) drained = engine->stop(kDrainWithin) == StopOutcome::drained && drained;
  return drained;
}
