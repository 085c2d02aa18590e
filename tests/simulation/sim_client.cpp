#include "simulation/sim_client.h"

#include <algorithm>

namespace tidegate::sim {

SimClient::SimClient(const Plan& plan, SimRandom random, const SimClock& clock, Trace& trace, SimGateway& gateway,
                     std::string id, Mutation mutation)
    : plan_(plan),
      random_(random),
      trace_(trace),
      gateway_(gateway),
      id_(std::move(id)),
      mutation_(mutation),
      edits_(plan, random_.fork(), clock, id_),
      claims_(drawClaims(random_)) {
  trace_.line(id_, "clock off by {} ms, claims {}", edits_.skew().count() / 1000, show(claims_));
}

void SimClient::step() {
  if (offlineSteps_ > 0) {
    --offlineSteps_;
    if (plan_.clientEdits && random_.chance(30)) edit();
    return;
  }
  if (random_.chance(3)) offlineSteps_ = static_cast<std::size_t>(random_.between(5, 60));
  const auto dice = random_.below(100);
  move();
  try {
    if (plan_.clientEdits && dice < 25)
      edit();
    else if (!pending_.empty() && dice < 45)
      push();
    else if (!sent_.empty() && dice < 50)
      pushAgain();
    else if (plan_.claimChanges && dice < 52)
      changeClaims();
    else if (snapshot_ || resync_)
      readSnapshot(static_cast<std::size_t>(random_.between(1, 40)));
    else if (plan_.subscribers && dice < 75)
      follow();
    else
      pull(static_cast<std::size_t>(random_.between(1, 4)));
  } catch (const Error& error) {
    trace_.line(id_, "{}", error.what());
    gateway_.noteError(node_, error);
    if (!gateway_.down() && error.retry() == Retry::never) trace_.fail("a client's call succeeds", error.what());
  }
}

/// A client may go to another gateway at any time.
void SimClient::move() {
  if (gateway_.nodes() == 1 || !random_.chance(30)) return;
  node_ = gateway_.pick(random_);
}

void SimClient::edit() {
  if (pending_.size() > 12) return;
  pending_.push_back(edits_.draw(replica_));
  trace_.line(id_, "edits {} rows{}", pending_.back().push.deltas.size(),
              pending_.back().malformed ? ", malformed" : "");
}

PushResult SimClient::send(const ClientEdits::Pending& pending) {
  return gateway_.push(pending.push, {}, pending.malformed, node_);
}

void SimClient::push() {
  const std::size_t index = random_.chance(60) ? 0 : static_cast<std::size_t>(random_.below(pending_.size()));
  const PushResult result = send(pending_[index]);
  if (plan_.pushFaults && random_.chance(10)) {
    trace_.line(id_, "never hears what became of its push");
    return;
  }
  const auto drop = [&] { pending_.erase(pending_.begin() + static_cast<std::ptrdiff_t>(index)); };
  if (result.status == PushStatus::accepted) {
    if (sent_.size() < 6)
      sent_.push_back(pending_[index].push);
    else
      sent_[static_cast<std::size_t>(random_.below(6))] = pending_[index].push;
    if (edits_.hlc().acceptable(result.serverHlc)) edits_.hlc().receive(result.serverHlc);
    drop();
    return;
  }
  const bool tooOld = std::any_of(result.verdicts.begin(), result.verdicts.end(),
                                  [](const DeltaVerdict& v) { return v.verdict == Verdict::tooOld; });
  if (pending_[index].malformed || tooOld) drop();
}

void SimClient::pushAgain() {
  trace_.line(id_, "sends an old push again");
  gateway_.push(random_.pick(sent_), {}, false, node_);
}

bool SimClient::pull(std::size_t pages) {
  subscription_.reset();  // one reader of the log at a time
  for (std::size_t i = 0; i < pages; ++i) {
    const SyncPull request{id_, since_, static_cast<std::size_t>(random_.between(1, random_.chance(30) ? 500 : 12))};
    const PullResult page = gateway_.gateway(node_).handlePull(request, claims_);
    ++pages_;
    trace_.line(id_, "pulls {} deltas from {} to {}{}{}", page.deltas.size(), since_.raw, page.serverHlc.raw,
                page.hasMore ? ", more" : "", page.mustResync ? ", must resync" : "");
    if (page.mustResync) {
      mustResync(page.reason);
      return false;
    }
    if (plan_.pushFaults && random_.chance(5)) {
      trace_.line(id_, "never gets the page");
      continue;
    }
    if (page.deltas.size() > request.maxDeltas + 1) trace_.fail("a page keeps its size", id_);
    if (page.hasMore && page.serverHlc == since_) trace_.fail("a page makes progress", id_);
    advance(page.deltas, page.serverHlc, "page");
    if (!page.hasMore) return true;
  }
  return false;
}

void SimClient::advance(const std::vector<RowDelta>& deltas, Hlc serverHlc, const char* where) {
  if (serverHlc < since_ || (!deltas.empty() && serverHlc == since_)) {
    trace_.fail("serverHlc strictly increases", fmt::format("{} at {} got {}", id_, since_.raw, serverHlc.raw));
  }
  apply(deltas, where);
  since_ = serverHlc;
  if (edits_.hlc().acceptable(serverHlc)) edits_.hlc().receive(serverHlc);
  if (plan_.strict || random_.chance(20)) {
    gateway_.checkReplica(id_, replica_, since_, gateway_.rules(subscription_ ? subscriptionNode_ : node_), claims_);
  }
}

void SimClient::apply(const std::vector<RowDelta>& deltas, const char* where) {
  for (const RowDelta& delta : deltas) {
    if (trace_.printing()) trace_.detail("{}", show(delta));
    if (mutation_ == Mutation::forgetDelta && random_.chance(3)) continue;
    apply(delta, where);
  }
}

void SimClient::apply(const RowDelta& delta, const char* where) {
  const Key key{delta.table, delta.rowId};
  const auto row = replica_.find(key);
  const auto wrong = [&](const char* what) {
    if (mutation_ != Mutation::forgetDelta)
      trace_.fail("the log applies without resolving anything",
                  fmt::format("{} {}: {} {}", id_, where, show(key), what));
  };
  if (computeDeltaId(delta) != delta.deltaId) wrong("has an id that is not its hash");
  switch (delta.op) {
    case DeltaOp::insert: {
      if (row != replica_.end()) wrong("is inserted twice");
      ModelRow& fresh = replica_[key];
      fresh.clear();
      for (const ColumnValue& column : delta.columns) fresh[column.column] = column.value;
      return;
    }
    case DeltaOp::update:
      if (row == replica_.end()) return wrong("is updated but not held");
      for (const ColumnValue& column : delta.columns) row->second[column.column] = column.value;
      return;
    case DeltaOp::erase:
      if (row == replica_.end()) return wrong("is erased but not held");
      if (!delta.columns.empty()) wrong("is erased with columns");
      replica_.erase(row);
  }
}

void SimClient::mustResync(const std::string& reason) {
  trace_.line(id_, "must resync: {}", reason);
  if (reason.empty()) trace_.fail("a resync says why", id_);
  if (!plan_.resyncAllowed()) trace_.fail("no resync without a cause", id_ + ": " + reason);
  subscription_.reset();
  resync_ = true;
}

void SimClient::beginSnapshot() {
  resync_ = true;
  collected_.clear();
  snapshotPurges_ = gateway_.purges();
  snapshot_.emplace(gateway_.gateway(node_).snapshot(claims_, random_.chance(70) ? id_ : std::string()));
  snapshotNode_ = node_;
  snapshotRules_ = gateway_.rules(node_);
  trace_.line(id_, "begins a snapshot at {}", snapshot_->serverHlc().raw);
}

void SimClient::readSnapshot(std::size_t rows) {
  if (!snapshot_) beginSnapshot();
  RowDelta row;
  for (std::size_t i = 0; i < rows; ++i) {
    if (snapshot_->next(row)) {
      ModelRow& fresh = collected_[Key{row.table, row.rowId}];
      if (!fresh.empty()) trace_.fail("a snapshot gives each row once", show(Key{row.table, row.rowId}));
      if (row.op != DeltaOp::insert) trace_.fail("a snapshot is made of inserts", show(Key{row.table, row.rowId}));
      for (const ColumnValue& column : row.columns) fresh[column.column] = column.value;
      continue;
    }
    replica_ = std::move(collected_);
    since_ = snapshot_->serverHlc();
    snapshot_.reset();
    collected_.clear();
    resync_ = false;
    trace_.line(id_, "holds the snapshot at {}: {} rows", since_.raw, replica_.size());
    if (snapshotPurges_ == gateway_.purges()) {
      gateway_.checkReplica(id_ + " (snapshot)", replica_, since_, snapshotRules_, claims_);
    }
    return;
  }
}

/// A subscription from 0 tells only what is new, so it begins with a snapshot.
void SimClient::follow() {
  if (since_.raw == 0 && !subscription_) {
    beginSnapshot();
    return;
  }
  if (!subscription_) {
    trace_.line(id_, "subscribes from {}", since_.raw);
    SubscribeOptions options;
    options.clientId = id_;
    options.sinceHlc = since_;
    options.maxBatch = static_cast<std::size_t>(random_.between(1, 50));
    subscription_ = std::make_unique<Subscription>(gateway_.gateway(node_).subscribe(std::move(options), claims_));
    subscriptionNode_ = node_;
  }
  readEvent();
}

void SimClient::readEvent() {
  for (int i = 0; i < 5 && subscription_; ++i) {
    const std::optional<SubscriptionEvent> event = subscription_->next(std::chrono::milliseconds{0});
    if (!event) return;
    trace_.line(id_, "is told {} deltas to {}{}{}", event->deltas.size(), event->serverHlc.raw,
                event->mustResync ? ", must resync" : "", event->closed ? ", closed" : "");
    if (event->mustResync) {
      mustResync("subscription");
    } else if (event->closed) {
      subscription_.reset();
    } else {
      advance(event->deltas, event->serverHlc, "event");
    }
    if (random_.chance(5)) subscription_.reset();
  }
}

void SimClient::changeClaims() {
  claims_ = drawClaims(random_);
  trace_.line(id_, "has new claims {}", show(claims_));
  subscription_.reset();
  snapshot_.reset();
  // A gateway that loses what it noted since its last commit may remember the view of before the last change, and take
  // it for that of after this one: then the client begins anew by itself.
  if (gateway_.nodes() == 1 && plan_.gatewayCrashes && claimChanges_++ > 0) resync_ = true;
}

void SimClient::gatewayDied(std::size_t node) {
  if (subscriptionNode_ == node) subscription_.reset();
  if (snapshotNode_ == node) snapshot_.reset();
}

bool SimClient::settle() {
  offlineSteps_ = 0;
  move();
  for (int i = 0; i < 200 && !pending_.empty(); ++i) push();
  if (!pending_.empty()) trace_.fail("a client's pushes are accepted in the end", id_);
  int resyncs = 0;
  for (int i = 0; i < 100'000; ++i) {
    if (resync_ || snapshot_) {
      if (!snapshot_ && ++resyncs > 6) trace_.fail("a client that took a snapshot is served", id_);
      readSnapshot(1'000);
    } else if (pull(1)) {
      return true;
    }
  }
  trace_.fail("a client comes to the end of the log", id_);
}

void SimClient::checkSettled() {
  gateway_.checkReplica(id_ + " (settled)", replica_, since_, gateway_.rules(), claims_);
  if (since_.raw < gateway_.history().head()) trace_.fail("a settled client is at the end", id_);
}

}  // namespace tidegate::sim
