#include "simulation/sim_gateway.h"

#include <algorithm>
#include <utility>

namespace tidegate::sim {

namespace {

constexpr std::chrono::milliseconds kMaxDrift{5000};

std::map<Key, std::size_t> touchedBy(const SyncPush& push) {
  std::map<Key, std::size_t> touched;
  for (const RowDelta& delta : push.deltas) ++touched[Key{delta.table, delta.rowId}];
  return touched;
}

const char* nameOf(PushStatus status) {
  return status == PushStatus::accepted ? "accepted" : status == PushStatus::rejected ? "rejected" : "backPressure";
}

}  // namespace

SimGateway::SimGateway(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace, Mutation mutation)
    : plan_(plan), random_(random), clock_(clock), trace_(trace), mutation_(mutation), nodes_(plan.gateways) {
  if (!several()) {
    store_ = std::make_shared<SimGatewayStore>(plan, random_.fork(), nodes_[0].life, trace, mutation);
  }
  if (plan.retention) retention_.maxLogEntries = static_cast<std::size_t>(random_.between(5, 120));
  if (plan.tombstonePurge) retention_.tombstoneRetention = std::chrono::seconds(random_.between(10, 90));
  if (random_.chance(50)) retention_.dedupeIds = static_cast<std::size_t>(random_.between(1, 64));
  if (plan.rules) rules_ = drawRules(plan, random_);
  noteRules(rules_);
  trace_.line("gateway", "rules {}", rules_.json());
  if (several()) {
    GatewayOptions calm = options();
    calm.sharedLog = quorum_.log.another();
    observer_ = std::make_unique<Gateway>(calm);
  }
  for (std::size_t node = 0; node < nodes_.size(); ++node) open(node);
}

GatewayOptions SimGateway::options() {
  GatewayOptions options;
  if (!rules_.buckets.empty()) options.rules = SyncRules::parse(rules_.json());
  options.retention = retention_;
  options.maxDrift = kMaxDrift;
  if (plan_.durable) options.store = store_;
  options.clock = &clock_;
  return options;
}

void SimGateway::noteRules(const ModelRules& rules) {
  const SyncRules parsed = rules.buckets.empty() ? SyncRules() : SyncRules::parse(rules.json());
  ruleBook_.insert_or_assign(parsed.fingerprint(), rules);
}

const ModelRules& SimGateway::rules(std::size_t node) const {
  if (!several()) return rules_;
  return ruleBook_.at(nodes_[node].gateway->syncRules().fingerprint());
}

std::size_t SimGateway::pick(SimRandom& random) const {
  if (!several()) return 0;
  const auto first = static_cast<std::size_t>(random.below(nodes_.size()));
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    if (!down((first + i) % nodes_.size())) return (first + i) % nodes_.size();
  }
  return first;
}

bool SimGateway::down() const noexcept {
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    if (down(node)) return true;
  }
  return false;
}

void SimGateway::noteError(std::size_t node, const Error& error) {
  if (several() && error.code() == ErrorCode::positionLost) nodes_[node].closed = true;
  if (error.code() == ErrorCode::logDiverged) trace_.fail("all gateways have one history", error.what());
}

void SimGateway::kill() { nodes_[pick(random_)].life.dead = true; }

void SimGateway::setFaults(bool on) {
  for (Node& node : nodes_) node.life.faultsOn = on;
}

/// A gateway may write while it opens (other rules than the stored ones), so opening may fail too.
void SimGateway::open(std::size_t at) {
  Node& node = nodes_[at];
  const bool faults = node.life.faultsOn;
  for (int attempt = 0;; ++attempt) {
    node.life.dead = false;
    node.life.faultsOn = faults && attempt < 2;
    GatewayOptions opened = options();
    if (several()) {
      opened.sharedLog = node.log = std::make_shared<SimSharedLog>(plan_, random_.fork(), node.life, trace_, quorum_,
                                                                   mutation_, "log-" + std::to_string(at + 1));
    }
    try {
      node.gateway = std::make_unique<Gateway>(opened);
      node.life.faultsOn = faults;
      return;
    } catch (const Error& error) {
      trace_.line("gateway", "does not open: {}", error.what());
      if (attempt > 3) trace_.fail("the gateway opens", error.what());
    }
  }
}

void SimGateway::beginCall() {
  quorum_.beginCall();
  if (store_) store_->beginCall();
}

std::size_t SimGateway::reached() const { return several() ? quorum_.appended : store_->truth().applied; }

std::optional<ModelRow> SimGateway::rowAt(const Gateway& gateway, const Key& key) {
  const std::optional<Row> row = gateway.row(key.table, key.rowId);
  if (!row) return std::nullopt;
  ModelRow out;
  for (std::size_t i = 0; i < row->values.size(); ++i) out[(*row->columns)[i]] = row->values[i];
  return out;
}

std::optional<ModelRow> SimGateway::rowOf(const Key& key) {
  if (!several()) return rowAt(gateway(), key);
  observer_->catchUp();
  return rowAt(*observer_, key);
}

bool SimGateway::mustRefuse(const SyncPush& push, PushContext context, std::size_t node) const {
  if (context.trusted) return false;
  const Micros wall = clock_.wallNow();
  const auto limit = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::milliseconds>(wall).count() + 5000);
  const Hlc passed = nodes_[node].gateway->clock().last();
  return std::any_of(push.deltas.begin(), push.deltas.end(),
                     [&](const RowDelta& delta) { return delta.hlc.millis() > limit && delta.hlc > passed; });
}

PushResult SimGateway::push(const SyncPush& push, PushContext context, bool malformed, std::size_t node) {
  const Touched touched = touchedBy(push);
  const bool expectRefusal = malformed || mustRefuse(push, context, node);
  beginCall();
  PushResult result;
  try {
    result = gateway(node).handlePush(push, context);
  } catch (const Error& error) {
    several() ? failedShared(push, context, touched, error, node) : failed(push, context, touched, error, node);
    throw;
  }
  trace_.line("gateway", "{} deltas of {}: {}, {} applied, {} duplicate, {} without effect, at {}", push.deltas.size(),
              push.clientId, nameOf(result.status), result.applied, result.duplicates, result.noEffect,
              result.serverHlc.raw);
  for (std::size_t i = 0; trace_.printing() && i < push.deltas.size(); ++i) {
    trace_.detail("{}: {}", i < result.verdicts.size() ? toString(result.verdicts[i].verdict) : "?",
                  show(push.deltas[i]));
  }
  if (result.status == PushStatus::accepted) {
    if (expectRefusal) trace_.fail("what is invalid is refused", "a push of " + push.clientId + " was accepted");
    accepted(push, context, touched, result, node);
  } else {
    refused(push, touched, result, expectRefusal);
  }
  return result;
}

void SimGateway::accepted(const SyncPush& push, PushContext context, const Touched& touched, const PushResult& result,
                          std::size_t node) {
  const std::uint64_t before = history_.head();
  const std::size_t expected = model_.apply(push, context);
  if (plan_.exactModel() && result.applied != expected) {
    trace_.fail("deltas applied are those that change what readers see",
                fmt::format("push of {}: {} applied, the model says {}", push.clientId, result.applied, expected));
  }
  if (result.verdicts.size() != push.deltas.size() ||
      result.applied + result.duplicates + result.noEffect != push.deltas.size()) {
    trace_.fail("one verdict per delta", push.clientId);
  }
  // A gateway of several that has nothing to write may not have heard of the newest entries.
  const bool mayLag = several() && result.applied == 0;
  if (!mayLag && (result.serverHlc.raw < before || (result.applied > 0 && result.serverHlc.raw == before))) {
    trace_.fail("serverHlc strictly increases", fmt::format("{} after {}", result.serverHlc.raw, before));
  }
  const std::uint64_t at = std::max(result.serverHlc.raw, before);
  for (const auto& [key, count] : touched) {
    std::optional<ModelRow> row = rowOf(key);
    const std::optional<ModelRow> wanted = plan_.exactModel() ? model_.row(key) : row;
    if (row != wanted) {
      trace_.fail("a row is what its accepted deltas make it",
                  fmt::format("{}: gateway {}, model {}", show(key), show(row ? &*row : nullptr),
                              show(wanted ? &*wanted : nullptr)));
    }
    if (several() && result.applied > 0 && rowAt(gateway(node), key) != row) {
      trace_.fail("all gateways hold the same row", show(key));
    }
    history_.record(at, key, std::move(row), count);
  }
}

/// Notes rows as they stand in the log now.
void SimGateway::recordNow(const Touched& touched) {
  for (const auto& [key, count] : touched) {
    auto row = rowOf(key);
    history_.record(std::max(observer_->stats().lastHlc.raw, history_.head()), key, std::move(row), count + 1);
  }
}

void SimGateway::failedShared(const SyncPush& push, PushContext context, const Touched& touched, const Error& error,
                              std::size_t node) {
  trace_.line("gateway", "push of {} fails at gateway {}: {}", push.clientId, node + 1, error.what());
  noteError(node, error);
  if (error.retry() != Retry::outcomeUnknown && reached() > 0)
    trace_.fail("a failed push is not in the log", error.what());
  if (reached() > 0) {
    model_.apply(push, context);
    recordNow(touched);
    return;
  }
  checkUnchanged(touched, "a failed push");
  if (!quorum_.sentLate || !quorum_.late) return;
  // The context's notes and the push are copied: they may arrive when their sender is long gone.
  PushContext kept = context;
  kept.notes = nullptr;
  quorum_.late->landed = [this, push, kept, touched] {
    trace_.line("gateway", "a push of {} arrives late", push.clientId);
    model_.apply(push, kept);
    recordNow(touched);
  };
}

void SimGateway::refused(const SyncPush& push, const Touched& touched, const PushResult& result, bool expected) {
  const bool tooOld = std::any_of(result.verdicts.begin(), result.verdicts.end(),
                                  [](const DeltaVerdict& v) { return v.verdict == Verdict::tooOld; });
  if (result.message.empty()) trace_.fail("a refusal says why", push.clientId);
  if (!expected && !(tooOld && plan_.tombstonePurge)) {
    trace_.fail("what is valid is accepted", push.clientId + ": " + result.message);
  }
  checkUnchanged(touched, "a refused push");
}

void SimGateway::failed(const SyncPush& push, PushContext context, const Touched& touched, const Error& error,
                        std::size_t node) {
  trace_.line("gateway", "push of {} fails: {}", push.clientId, error.what());
  if (error.retry() != Retry::outcomeUnknown && !nodes_[node].life.dead) {
    if (reached() > 0) trace_.fail("a failed push is not stored", error.what());
    checkUnchanged(touched, "a failed push");
    return;
  }
  nodes_[node].closed = true;
  if (reached() == 0) return;
  model_.apply(push, context);
  for (const auto& [key, count] : touched) unrecorded_[key] += count + 1;
}

void SimGateway::checkUnchanged(const Touched& touched, const char* after) {
  if (!plan_.exactModel()) return;
  for (const auto& [key, count] : touched) {
    const auto row = rowOf(key), wanted = model_.row(key);
    if (row == wanted) continue;
    trace_.fail("nothing is half applied", fmt::format("after {}: {} is {}, was {}", after, show(key),
                                                       show(row ? &*row : nullptr), show(wanted ? &*wanted : nullptr)));
  }
}

void SimGateway::takeEffect(const char* what, const std::function<void(Gateway&)>& call,
                            const std::function<void()>& then) {
  const std::size_t node = pick(random_);
  beginCall();
  try {
    call(gateway(node));
    return then();
  } catch (const Error& error) {
    trace_.line("gateway", "{} fails: {}", what, error.what());
    noteError(node, error);
    if (!several() && (error.retry() == Retry::outcomeUnknown || nodes_[node].life.dead)) nodes_[node].closed = true;
  }
  if (reached() > 0) return then();
  if (quorum_.sentLate && quorum_.late) quorum_.late->landed = then;
}

void SimGateway::changeRules(ModelRules rules) {
  trace_.line("gateway", "new rules {}", rules.json());
  const SyncRules parsed = rules.buckets.empty() ? SyncRules() : SyncRules::parse(rules.json());
  noteRules(rules);
  takeEffect(
      "setSyncRules", [&](Gateway& gateway) { gateway.setSyncRules(parsed); }, [this, rules] { rules_ = rules; });
}

void SimGateway::purgeTable(const std::string& table) {
  trace_.line("gateway", "purges table {}", table);
  takeEffect(
      "purgeTable", [&](Gateway& gateway) { gateway.purgeTable(table); },
      [this, table] {
        ++purges_;
        purged_.insert(table);
        model_.purgeTable(table);
        history_.purge(history_.head(), table);
        // The history has forgotten what a gateway that lags would still show.
        if (several()) settle();
      });
}

void SimGateway::enforceRetention() {
  takeEffect(
      "enforceRetention",
      [&](Gateway& gateway) { trace_.line("gateway", "retention drops {} entries", gateway.enforceRetention()); },
      [] {});
}

void SimGateway::saveSnapshot() {
  takeEffect(
      "saveSnapshot", [&](Gateway& gateway) { gateway.saveSnapshot(); }, [] {});
}

void SimGateway::passNews() {
  if (!several()) return;
  observer_->catchUp();  // nothing happens to it, not even a trim
  for (Node& node : nodes_) {
    if (random_.chance(30) && !node.life.dead && !node.closed) node.log->wake();
  }
  if (random_.chance(25)) quorum_.land();
}

void SimGateway::settle() {
  if (!several()) return;
  quorum_.land();
  observer_->catchUp();
  for (std::size_t at = 0; at < nodes_.size(); ++at) {
    if (down(at)) continue;
    const bool faults = std::exchange(nodes_[at].life.faultsOn, false);
    try {
      gateway(at).catchUp();
    } catch (const Error& error) {
      noteError(at, error);
      if (!down(at)) trace_.fail("a gateway catches up", error.what());
    }
    nodes_[at].life.faultsOn = faults;
  }
}

void SimGateway::restart(std::size_t at) {
  Node& node = nodes_[at];
  trace_.line("gateway", "{} restarts", at + 1);
  node.gateway.reset();
  if (node.life.dead && store_) store_->crash();
  node.closed = false;
  ++restarts_;
  open(at);
  const std::uint64_t last = node.gateway->stats().lastHlc.raw;
  if (last < history_.head()) {
    trace_.fail("nothing acknowledged is lost at a restart",
                fmt::format("the log ends at {}, {} was acknowledged", last, history_.head()));
  }
  if (node.gateway->clock().last().raw < last) trace_.fail("the clock is restored", std::to_string(last));
  for (const auto& [key, count] : unrecorded_) history_.record(last, key, rowOf(key), count);
  unrecorded_.clear();
  if (!several()) checkWhole("after a restart");
}

void SimGateway::checkWhole(const char* when) {
  if (several()) settle();  // clients that pull have more written
  const ModelState wanted = plan_.exactModel() ? model_.visible() : history_.now();
  for (std::size_t node = 0; node < nodes_.size(); ++node) {
    for (const auto& [key, row] : wanted) {
      const auto mine = rowAt(gateway(node), key);
      if (mine == row) continue;
      trace_.fail("the gateway holds what it accepted",
                  fmt::format("{} {}: gateway {} has {}, wanted {}", when, show(key), node + 1,
                              show(mine ? &*mine : nullptr), show(&row)));
    }
    const GatewayStats stats = gateway(node).stats();
    if (stats.rows != wanted.size()) {
      trace_.fail("the gateway holds nothing else",
                  fmt::format("{}: {} rows, wanted {}", when, stats.rows, wanted.size()));
    }
    if (several() &&
        (stats.lastHlc != observer_->stats().lastHlc || stats.tombstones != observer_->stats().tombstones)) {
      trace_.fail("all gateways are equal",
                  fmt::format("{}: gateway {} ends at {} with {} tombstones, the observer at {} with {}", when,
                              node + 1, stats.lastHlc.raw, stats.tombstones, observer_->stats().lastHlc.raw,
                              observer_->stats().tombstones));
    }
  }
}

void SimGateway::checkReplica(const std::string& who, const ModelState& replica, Hlc serverHlc, const ModelRules& rules,
                              const Claims& claims) {
  if (const auto difference = history_.difference(replica, serverHlc.raw, rules, claims)) {
    trace_.fail("a client equals the rule-filtered state", who + ": " + *difference);
  }
}

}  // namespace tidegate::sim
