#include "chaos/cluster/nats_servers.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>

#include "nats/detail/kv.h"

namespace tidegate::chaos {
namespace {

using namespace std::chrono_literals;

constexpr auto kLook = 1'500ms;  ///< for a question that may find nobody to answer it

sockaddr_in chaosAddress(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

/// Whether `act`, bind or connect, succeeds there.
template <class Act>
bool onPort(std::uint16_t port, const Act& act) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = chaosAddress(port);
  const bool done = act(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return done;
}

bool listens(std::uint16_t port) { return onPort(port, ::connect); }

}  // namespace

std::uint16_t freePort(test::Random& random) {
  for (int tries = 0; tries < 1'000; ++tries) {
    const auto port = static_cast<std::uint16_t>(random.between(12'000, 19'999));
    if (onPort(port, ::bind)) return port;
  }
  throw std::runtime_error("no port is free");
}

NatsServers::NatsServers(test::Random& random, std::string program, std::string folder, std::size_t gateways)
    : random_(random), program_(std::move(program)), folder_(std::move(folder)) {
  for (std::size_t node = 0; node < kNodes; ++node) {
    clientPorts_[node] = freePort(random_);
    routePorts_[node] = freePort(random_);
  }
  for (std::size_t from = 0; from < kNodes; ++from) {
    for (std::size_t to = 0; to < kNodes; ++to) {
      if (from != to) routes_[from][to] = std::make_unique<test::TcpProxy>(routePorts_[to]);
    }
  }
  for (std::size_t gateway = 0; gateway < gateways; ++gateway) {
    auto& relays = gatewayRelays_.emplace_back();
    for (std::size_t node = 0; node < kNodes; ++node) {
      relays[node] = std::make_unique<test::TcpProxy>(clientPorts_[node]);
    }
  }
  for (std::size_t node = 0; node < kNodes; ++node) configure(node);
  mend();
}

NatsServers::~NatsServers() = default;

/// Servers tell each other, and clients, where the others are: past our relays. So what they tell leads nowhere.
void NatsServers::configure(std::size_t node) const {
  std::string routes;
  for (std::size_t to = 0; to < kNodes; ++to) {
    if (to == node) continue;
    routes += fmt::format("{}\"nats-route://127.0.0.1:{}\"", routes.empty() ? "" : ", ", routes_[node][to]->port());
  }
  std::ofstream(fmt::format("{}/nats{}.conf", folder_, node)) << fmt::format(
      "server_name: node{0}\nlisten: \"127.0.0.1:{1}\"\n"
      "jetstream: {{store_dir: \"{2}/nats{0}.store\", max_mem: 256MB, max_file: 8GB}}\n"
      "cluster: {{name: chaos, listen: \"127.0.0.1:{3}\", advertise: \"127.0.0.1:1\", no_advertise: true, "
      "routes: [{4}]}}\n",
      node, clientPorts_[node], folder_, routePorts_[node], routes);
}

void NatsServers::start(std::size_t node) {
  servers_[node] = std::make_unique<Child>(std::vector<std::string>{"/usr/bin/setpriv", "--pdeathsig", "KILL", program_,
                                                                    "-c", fmt::format("{}/nats{}.conf", folder_, node)},
                                           fmt::format("{}/nats{}.log", folder_, node));
  for (const auto deadline = std::chrono::steady_clock::now() + 30s; !listens(clientPorts_[node]);) {
    if (!servers_[node]->alive() || std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error(fmt::format("nats-server {} did not start; see {}/nats{}.log", node, folder_, node));
    }
    std::this_thread::sleep_for(10ms);
  }
}

std::string NatsServers::urlsFor(std::size_t gateway) const {
  std::string urls;
  // Each gateway begins with a server of its own.
  for (std::size_t i = 0; i < kNodes; ++i) {
    const auto& relay = gatewayRelays_[gateway][(gateway + i) % kNodes];
    urls += fmt::format("{}nats://127.0.0.1:{}", urls.empty() ? "" : ",", relay->port());
  }
  return urls;
}

bool NatsServers::kill9(std::size_t node) {
  const bool ran = servers_[node]->alive();
  servers_[node]->kill9();
  return ran;
}

void NatsServers::freeze(std::size_t node, bool yes) {
  if (servers_[node]->alive()) ::kill(servers_[node]->pid(), yes ? SIGSTOP : SIGCONT);
}

void NatsServers::cut(test::TcpProxy& relay, Cut how) {
  if (how == Cut::silent) return relay.freeze(true);
  relay.accept(false);
  relay.cut();
}

void NatsServers::part(std::size_t one, std::size_t other, Cut how) {
  cut(*routes_[one][other], how);
  cut(*routes_[other][one], how);
}

void NatsServers::isolate(std::size_t node, Cut how) {
  for (std::size_t other = 0; other < kNodes; ++other) {
    if (other != node) part(node, other, how);
  }
}

void NatsServers::partGateway(std::size_t gateway, std::size_t node, Cut how) {
  cut(*gatewayRelays_[gateway][node], how);
}

void NatsServers::slow(std::size_t node, std::chrono::milliseconds by) {
  for (std::size_t other = 0; other < kNodes; ++other) {
    if (other == node) continue;
    routes_[node][other]->delay(by);
    routes_[other][node]->delay(by);
  }
}

void NatsServers::mend() {
  const auto whole = [](const Relay& relay) {
    if (!relay) return;
    relay->delay(0ms);
    relay->freeze(false);
    relay->accept(true);
  };
  for (const auto& from : routes_) {
    for (const Relay& relay : from) whole(relay);
  }
  for (const auto& relays : gatewayRelays_) {
    for (const Relay& relay : relays) whole(relay);
  }
  for (std::size_t node = 0; node < kNodes; ++node) {
    if (servers_[node] && servers_[node]->alive())
      freeze(node, false);
    else
      start(node);
  }
}

nats::detail::Connection NatsServers::connect() const {
  nats::ConnectOptions options;
  options.servers.clear();
  for (const std::uint16_t port : clientPorts_) options.servers.push_back(fmt::format("nats://127.0.0.1:{}", port));
  options.connectTimeout = options.requestTimeout = kLook;
  options.retryFor = kLook;
  return nats::detail::Connection(options);
}

std::size_t NatsServers::leaderOf(const std::string& stream) {
  try {
    nats::detail::Connection connection = connect();
    const std::string leader = nats::detail::JetStream(connection).info(stream).leader;
    if (leader.starts_with("node")) return static_cast<std::size_t>(std::stoul(leader.substr(4)));
  } catch (const Error&) {
  }
  return random_.index(kNodes);
}

std::string NatsServers::holderOf(const std::string& lease) {
  try {
    nats::detail::Connection connection = connect();
    nats::detail::JetStream js(connection);
    const auto entry =
        nats::detail::Kv(js, "TIDEGATE_LEASES", {.createMissing = false}).get(nats::detail::Kv::keyOf(lease));
    if (entry && !entry->erased) return nlohmann::json::parse(entry->value).at("holder").get<std::string>();
  } catch (const Error&) {
  }
  return "";
}

}  // namespace tidegate::chaos
