#include "simulation/simulation.h"

namespace tidegate::sim {

namespace {

Plan planOf(const RunOptions& options, SimRandom& random) {
  Plan plan = makePlan(random);
  if (options.several) shareLog(plan, random);
  return plan;
}

}  // namespace

Simulation::Simulation(const RunOptions& options)
    : options_(options),
      random_(options.seed),
      trace_(clock_, options.print),
      plan_(planOf(options, random_)),
      database_(plan_, random_.fork(), clock_, trace_),
      gateway_(plan_, random_.fork(), clock_, trace_, options.mutation) {
  trace_.line("seed", "{}: {}", options.seed, plan_.describe());
  const bool two = plan_.tables.size() > 1 && random_.chance(50);
  std::vector<std::vector<std::size_t>> tables(two ? 2 : 1);
  for (std::size_t i = 0; i < plan_.tables.size(); ++i) tables[i % tables.size()].push_back(i);
  for (std::size_t i = 0; i < tables.size(); ++i) {
    pollers_.emplace_back(plan_, random_.fork(), clock_, trace_, gateway_, database_, i ? "depot" : "shop", tables[i],
                          options.mutation);
  }
  for (std::size_t i = 0; i < plan_.clients; ++i) {
    clients_.emplace_back(plan_, random_.fork(), clock_, trace_, gateway_, "client-" + std::to_string(i + 1),
                          options.mutation);
  }
}

RunResult Simulation::run() {
  RunResult result;
  result.seed = options_.seed;
  result.plan = plan_.describe();
  try {
    for (std::size_t i = 0; i < plan_.rounds; ++i) round();
  } catch (const CheckFailed&) {
    // told by the trace
  } catch (const std::exception& error) {
    try {
      trace_.fail("no exception leaves a public call", error.what());
    } catch (const CheckFailed&) {
    }
  }
  result.failure = trace_.failure();
  if (result.failure) result.tail.assign(trace_.tail().begin(), trace_.tail().end());
  result.traceHash = trace_.hash();
  result.events = trace_.lines();
  for (const SimPoller& poller : pollers_) result.polls += poller.polls();
  for (const SimClient& client : clients_) result.pages += client.pages();
  result.restarts = gateway_.restarts();
  return result;
}

void Simulation::round() {
  gateway_.setFaults(true);
  for (SimPoller& poller : pollers_) poller.setFaults(true);
  for (std::size_t i = 0; i < plan_.stepsPerRound; ++i) {
    passTime();
    gateway_.passNews();
    step();
    recover();
    trace_.rethrow();
  }
  quiesce();
  check();
}

void Simulation::passTime() {
  const auto dice = random_.below(100);
  if (dice < 70)
    clock_.advance(std::chrono::microseconds(random_.between(0, 300'000)));
  else if (dice < 97)
    clock_.advance(std::chrono::milliseconds(random_.between(300, 3'000)));
  else
    clock_.advance(std::chrono::seconds(random_.between(5, 300)));
  database_.expire();
}

void Simulation::step() {
  const auto dice = random_.below(100);
  if (dice < 35) {
    database_.step();
  } else if (dice < 58) {
    pollers_[static_cast<std::size_t>(random_.below(pollers_.size()))].poll();
  } else if (dice < 94) {
    clients_[static_cast<std::size_t>(random_.below(clients_.size()))].step();
  } else {
    admin();
  }
}

void Simulation::admin() {
  switch (random_.below(6)) {
    case 0:
      if (plan_.clockJumps) {
        const Micros by = random_.chance(80) ? Micros(std::chrono::milliseconds(random_.between(-30'000, 30'000)))
                                             : Micros(std::chrono::minutes(random_.between(-60, 60)));
        clock_.jumpWall(by);
        trace_.line("clock", "jumps by {} ms", by.count() / 1000);
      }
      return;
    case 1:
      return gateway_.enforceRetention();
    case 2:
      if (plan_.ruleChanges) gateway_.changeRules(random_.chance(85) ? drawRules(plan_, random_) : ModelRules{});
      return;
    case 3:
      if (plan_.purgeTables) gateway_.purgeTable(random_.pick(plan_.tables).name);
      return;
    case 4:
      if (plan_.gatewayCrashes) {
        trace_.line("gateway", "is killed");
        gateway_.kill();
      }
      return;
    default:
      if (gateway_.nodes() > 1) gateway_.saveSnapshot();
      return;
  }
}

/// The pollers live in a gateway's process and go down with it; a poller may also go down alone.
void Simulation::recover() {
  for (std::size_t node = 0; node < gateway_.nodes(); ++node) {
    if (!gateway_.down(node)) continue;
    std::vector<SimPoller*> stopped;
    for (SimPoller& poller : pollers_) {
      if (poller.node() != node) continue;
      poller.stop();
      stopped.push_back(&poller);
    }
    for (SimClient& client : clients_) client.gatewayDied(node);
    gateway_.restart(node);
    for (SimPoller* poller : stopped) poller->start();
  }
  for (SimPoller& poller : pollers_) {
    if (!poller.down()) continue;
    poller.stop();
    poller.start();
  }
}

/// No more faults; everything open ends, and everybody comes to rest.
void Simulation::quiesce() {
  trace_.line("quiet", "begins");
  gateway_.setFaults(false);
  for (SimPoller& poller : pollers_) poller.setFaults(false);
  gateway_.settle();
  recover();
  database_.commitAll();
  clock_.straightenWall();
  clock_.advance(std::chrono::seconds(30));
  for (SimPoller& poller : pollers_) poller.settle();
  for (SimClient& client : clients_) client.settle();
  for (SimPoller& poller : pollers_) poller.settle();
  gateway_.settle();  // so that the clients' last pulls find all there is, wherever they pull
  for (SimClient& client : clients_) client.settle();
}

RunResult runSeed(const RunOptions& options) { return Simulation(options).run(); }

}  // namespace tidegate::sim
