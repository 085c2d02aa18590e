#include "ingest.h"

#include <spdlog/spdlog.h>

#include <utility>

#include "tidegate/engine/engine.h"
#include "tidegate/postgres/source.h"
#include "tidegate/sink/gateway_sink.h"

using namespace std::chrono_literals;
using namespace tidegate;

namespace {

constexpr auto kLease = 3s;

/// Whether another engine took the pipeline over, or it failed for good: then whoever holds the lease begins again.
bool isolated(const Engine& engine) { return engine.status().pipelines.front().state == PipelineState::isolated; }

}  // namespace

Ingest::Ingest(Gateway& gateway, nats::ConnectOptions nats, std::string node, std::string postgresUrl)
    : gateway_(gateway),
      nats_(std::move(nats)),
      node_(std::move(node)),
      postgresUrl_(std::move(postgresUrl)),
      thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}

Ingest::~Ingest() {
  thread_.request_stop();
  thread_.join();
}

void Ingest::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      nats::Lease lease(
          {.connect = nats_, .stream = {.replicas = 3}, .name = "orders", .holder = node_, .duration = kLease});
      while (lease.take(stop)) follow(lease, stop);
    } catch (const std::exception& failure) {
      spdlog::warn("{}: {}", node_, failure.what());
      pause(stop, 1s);
    }
  }
}

void Ingest::follow(nats::Lease& lease, std::stop_token stop) {
  spdlog::info("{} holds the lease", node_);
  Engine engine(
      {.sources = {{.name = "shop",
                    .source = postgres::source(
                        {.connect = {.url = postgresUrl_}, .slot = "cluster", .publication = {.name = "cluster"}})}},
       .pipelines = {{.name = "orders",
                      .source = "shop",
                      .tables = {{.table = "public.orders"}},
                      .sink = std::make_shared<GatewaySink>(gateway_)}}});
  engine.start();
  feeds_ = true;
  while (!stop.stop_requested() && lease.held() && !isolated(engine)) {
    pause(stop, kLease / 3);
    try {
      lease.renew();
    } catch (const Error& failure) {  // it lasts as it did: try again
      spdlog::warn("{}: {}", node_, failure.what());
    }
  }
  spdlog::info("{} gives the lease up", node_);
  feeds_ = false;
  engine.stop(1s);
  lease.release();
}

void Ingest::pause(std::stop_token stop, std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, stop, time, [] { return false; });
}
