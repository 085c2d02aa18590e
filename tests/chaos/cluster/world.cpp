#include "chaos/cluster/world.h"

#include <fmt/format.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace tidegate::chaos {
namespace {

/// Servers that hear nothing of a leader for four to nine seconds elect another.
constexpr std::int64_t kBeforeElection = 2'500;

}  // namespace

struct World::Fault {
  const char* name;
  void (*happen)(World& world);
};

/// Kills are mended by `mend` or, in half of the cases, after a while.
const std::vector<World::Fault>& World::faults() {
  static const std::vector<Fault> kFaults{
      {"partLeaderFromHolder", [](World& w) { w.servers_.partGateway(w.holder(), w.leader(), w.anyCut()); }},
      {"killLeader", [](World& w) { w.killServer(w.leader()); }},
      {"killHolder", [](World& w) { w.killGateway(w.holder()); }},
      {"partLeader", [](World& w) { w.isolateServer(w.leader()); }},
      {"freezeHolder",
       [](World& w) {
         const std::size_t holder = w.holder();
         w.freezeGateway(holder, true);
         w.wait(500, 6'000);  // its lease lasts for three seconds
         w.freezeGateway(holder, false);
       }},
      {"killFollower", [](World& w) { w.killServer(w.follower()); }},
      {"partGateway",
       [](World& w) {
         const std::size_t gateway = w.random_.index(kGateways);
         const Cut how = w.anyCut();
         for (std::size_t i = 0; i < NatsServers::kNodes; ++i) w.servers_.partGateway(gateway, i, how);
         w.wait(500, 6'000);
       }},
      {"slowServer",
       [](World& w) {
         const std::size_t node = w.random_.index(NatsServers::kNodes);
         if (w.random_.chance(50)) return w.servers_.slow(node, std::chrono::milliseconds(w.random_.between(5, 60)));
         w.servers_.freeze(node, true);
         w.wait(300, w.everything_ ? 7'000 : kBeforeElection);
         w.servers_.freeze(node, false);
       }},
      {"killGateway", [](World& w) { w.killGateway(w.random_.index(kGateways)); }},
      {"partFollower", [](World& w) { w.isolateServer(w.follower()); }},
      {"killMajority",
       [](World& w) {
         const std::size_t leader = w.leader();
         w.killServer(leader);
         w.killServer((leader + 1) % NatsServers::kNodes);
       }},
      {"partTwo",
       [](World& w) {
         const std::size_t leader = w.leader();
         w.servers_.part(leader, (leader + 1 + w.random_.index(2)) % NatsServers::kNodes, w.anyCut());
         w.endPartition();
       }},
      {"killAll",
       [](World& w) {
         for (std::size_t i = 0; i < NatsServers::kNodes; ++i) w.killServer(i);
         for (std::size_t i = 0; i < kGateways; ++i) w.killGateway(i);
         w.mend();
       }},
  };
  return kFaults;
}

World::World(test::Random& random, std::string gateway, const std::string& natsServer, std::string folder,
             bool everything)
    : random_(random),
      program_(std::move(gateway)),
      folder_(std::move(folder)),
      everything_(everything),
      servers_(random, natsServer, folder_, kGateways) {
  for (std::size_t i = 0; i < kGateways; ++i) {
    ports_[i] = freePort(random_);
    startGateway(i);
  }
}

std::vector<std::string> World::gatewayUrls() const {
  std::vector<std::string> urls;
  for (const std::uint16_t port : ports_) urls.push_back(fmt::format("http://127.0.0.1:{}", port));
  return urls;
}

void World::startGateway(std::size_t gateway) {
  gateways_[gateway] = std::make_unique<Child>(
      std::vector<std::string>{"/usr/bin/setpriv", "--pdeathsig", "KILL", program_, "--name",
                               fmt::format("gateway{}", gateway), "--nats", servers_.urlsFor(gateway), "--postgres",
                               std::getenv("POSTGRES_URL"), "--port", std::to_string(ports_[gateway]),
                               "--snapshot-every", "2"},
      fmt::format("{}/gateway{}.log", folder_, gateway));
}

/// The last one, `killAll`, is for newer servers.
std::size_t World::faultKinds() const { return faults().size() - (everything_ ? 0 : 1); }

std::string World::breakSomething(std::size_t kind) {
  const Fault& fault = faults()[kind];
  fault.happen(*this);
  if (random_.chance(50)) {
    wait(200, 2'000);
    mend();
  }
  return fault.name;
}

void World::mend() {
  servers_.mend();
  for (std::size_t i = 0; i < kGateways; ++i) freezeGateway(i, false);
  revive();
}

void World::revive() {
  for (std::size_t i = 0; i < kGateways; ++i) {
    if (!gateways_[i]->alive()) startGateway(i);
  }
}

void World::killGateway(std::size_t gateway) {
  kills_ += gateways_[gateway]->alive() ? 1 : 0;
  gateways_[gateway]->kill9();
}

void World::killServer(std::size_t node) { kills_ += servers_.kill9(node) ? 1 : 0; }

void World::freezeGateway(std::size_t gateway, bool yes) {
  if (gateways_[gateway]->alive()) ::kill(gateways_[gateway]->pid(), yes ? SIGSTOP : SIGCONT);
}

std::size_t World::holder() {
  const std::string name = servers_.holderOf("orders");
  for (std::size_t i = 0; i < kGateways; ++i) {
    if (name == fmt::format("gateway{}", i)) return i;
  }
  return random_.index(kGateways);
}

std::size_t World::follower() { return (leader() + 1 + random_.index(NatsServers::kNodes - 1)) % NatsServers::kNodes; }

void World::isolateServer(std::size_t node) {
  servers_.isolate(node, anyCut());
  // Half of the time the gateways still reach it: then it is the one that they may be misled by.
  if (random_.chance(50)) {
    for (std::size_t i = 0; i < kGateways; ++i) servers_.partGateway(i, node, anyCut());
  }
  endPartition();
}

void World::endPartition() {
  wait(500, everything_ ? 7'000 : kBeforeElection);
  if (!everything_) servers_.mend();
}

void World::wait(std::int64_t leastMillis, std::int64_t mostMillis) {
  std::this_thread::sleep_for(std::chrono::milliseconds(random_.between(leastMillis, mostMillis)));
}

}  // namespace tidegate::chaos
