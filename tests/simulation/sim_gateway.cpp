#include "simulation/sim_gateway.h"

#include <algorithm>

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
    : plan_(plan),
      random_(random),
      clock_(clock),
      trace_(trace),
      store_(std::make_shared<SimGatewayStore>(plan, random_.fork(), life_, trace, mutation)) {
  if (plan.retention) retention_.maxLogEntries = static_cast<std::size_t>(random_.between(5, 120));
  if (plan.tombstonePurge) retention_.tombstoneRetention = std::chrono::seconds(random_.between(10, 90));
  if (random_.chance(50)) retention_.dedupeIds = static_cast<std::size_t>(random_.between(1, 64));
  if (plan.rules) rules_ = drawRules(plan, random_);
  trace_.line("gateway", "rules {}", rules_.json());
  open();
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

/// A gateway may write while it opens (other rules than the stored ones), so opening may fail too.
void SimGateway::open() {
  const bool faults = life_.faultsOn;
  for (int attempt = 0;; ++attempt) {
    life_.dead = false;
    life_.faultsOn = faults && attempt < 2;
    try {
      gateway_ = std::make_unique<Gateway>(options());
      life_.faultsOn = faults;
      return;
    } catch (const Error& error) {
      trace_.line("gateway", "does not open: {}", error.what());
      if (attempt > 3) trace_.fail("the gateway opens", error.what());
    }
  }
}

std::optional<ModelRow> SimGateway::rowOf(const Key& key) const {
  const std::optional<Row> row = gateway_->row(key.table, key.rowId);
  if (!row) return std::nullopt;
  ModelRow out;
  for (std::size_t i = 0; i < row->values.size(); ++i) out[(*row->columns)[i]] = row->values[i];
  return out;
}

bool SimGateway::mustRefuse(const SyncPush& push, PushContext context) const {
  if (context.trusted) return false;
  const Micros wall = clock_.wallNow();
  const auto limit = static_cast<std::uint64_t>(std::chrono::floor<std::chrono::milliseconds>(wall).count() + 5000);
  const Hlc passed = gateway_->clock().last();
  return std::any_of(push.deltas.begin(), push.deltas.end(),
                     [&](const RowDelta& delta) { return delta.hlc.millis() > limit && delta.hlc > passed; });
}

PushResult SimGateway::push(const SyncPush& push, PushContext context, bool malformed) {
  const Touched touched = touchedBy(push);
  const bool expectRefusal = malformed || mustRefuse(push, context);
  store_->beginCall();
  PushResult result;
  try {
    result = gateway_->handlePush(push, context);
  } catch (const Error& error) {
    failed(push, context, touched, error);
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
    accepted(push, context, touched, result);
  } else {
    refused(push, touched, result, expectRefusal);
  }
  return result;
}

void SimGateway::accepted(const SyncPush& push, PushContext context, const Touched& touched, const PushResult& result) {
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
  if (result.serverHlc.raw < before || (result.applied > 0 && result.serverHlc.raw == before)) {
    trace_.fail("serverHlc strictly increases", fmt::format("{} after {}", result.serverHlc.raw, before));
  }
  for (const auto& [key, count] : touched) {
    std::optional<ModelRow> row = rowOf(key);
    const std::optional<ModelRow> wanted = plan_.exactModel() ? model_.row(key) : row;
    if (row != wanted) {
      trace_.fail("a row is what its accepted deltas make it",
                  fmt::format("{}: gateway {}, model {}", show(key), show(row ? &*row : nullptr),
                              show(wanted ? &*wanted : nullptr)));
    }
    history_.record(result.serverHlc.raw, key, std::move(row), count);
  }
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

void SimGateway::failed(const SyncPush& push, PushContext context, const Touched& touched, const Error& error) {
  trace_.line("gateway", "push of {} fails: {}", push.clientId, error.what());
  const bool reached = store_->truth().applied > 0;
  if (error.retry() != Retry::outcomeUnknown && !life_.dead) {
    if (reached) trace_.fail("a failed push is not stored", error.what());
    checkUnchanged(touched, "a failed push");
    return;
  }
  closed_ = true;
  if (!reached) return;
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

template <class F>
bool SimGateway::tookEffect(const char* what, F&& call) {
  store_->beginCall();
  try {
    call();
    return true;
  } catch (const Error& error) {
    trace_.line("gateway", "{} fails: {}", what, error.what());
    if (error.retry() == Retry::outcomeUnknown || life_.dead) closed_ = true;
    return store_->truth().applied > 0;
  }
}

void SimGateway::changeRules(ModelRules rules) {
  trace_.line("gateway", "new rules {}", rules.json());
  const SyncRules parsed = rules.buckets.empty() ? SyncRules() : SyncRules::parse(rules.json());
  if (tookEffect("setSyncRules", [&] { gateway_->setSyncRules(parsed); })) rules_ = std::move(rules);
}

void SimGateway::purgeTable(const std::string& table) {
  trace_.line("gateway", "purges table {}", table);
  if (!tookEffect("purgeTable", [&] { gateway_->purgeTable(table); })) return;
  ++purges_;
  purged_.insert(table);
  model_.purgeTable(table);
  history_.purge(history_.head(), table);
}

void SimGateway::enforceRetention() {
  std::size_t dropped = 0;
  tookEffect("enforceRetention", [&] { dropped = gateway_->enforceRetention(); });
  trace_.line("gateway", "retention drops {} entries", dropped);
}

void SimGateway::restart() {
  trace_.line("gateway", "restarts");
  gateway_.reset();
  if (life_.dead) store_->crash();
  closed_ = false;
  ++restarts_;
  open();
  const std::uint64_t last = gateway_->stats().lastHlc.raw;
  if (last < history_.head()) {
    trace_.fail("nothing acknowledged is lost at a restart",
                fmt::format("the log ends at {}, {} was acknowledged", last, history_.head()));
  }
  if (gateway_->clock().last().raw < last) trace_.fail("the clock is restored", std::to_string(last));
  for (const auto& [key, count] : unrecorded_) history_.record(last, key, rowOf(key), count);
  unrecorded_.clear();
  checkWhole("after a restart");
}

void SimGateway::checkWhole(const char* when) {
  const ModelState wanted = plan_.exactModel() ? model_.visible() : history_.now();
  for (const auto& [key, row] : wanted) {
    const auto mine = rowOf(key);
    if (mine == row) continue;
    trace_.fail("the gateway holds what it accepted", fmt::format("{} {}: gateway {}, wanted {}", when, show(key),
                                                                  show(mine ? &*mine : nullptr), show(&row)));
  }
  if (gateway_->stats().rows != wanted.size()) {
    trace_.fail("the gateway holds nothing else",
                fmt::format("{}: {} rows, wanted {}", when, gateway_->stats().rows, wanted.size()));
  }
}

void SimGateway::checkReplica(const std::string& who, const ModelState& replica, Hlc serverHlc, const ModelRules& rules,
                              const Claims& claims) {
  if (const auto difference = history_.difference(replica, serverHlc.raw, rules, claims)) {
    trace_.fail("a client equals the rule-filtered state", who + ": " + *difference);
  }
}

}  // namespace tidegate::sim
