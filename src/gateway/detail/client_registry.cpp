#include "gateway/detail/client_registry.h"

#include <algorithm>
#include <utility>

#include "core/detail/packed.h"

namespace tidegate::detail {
namespace {
constexpr std::int64_t kSaveNewsEveryMs = 1'000;
constexpr std::int64_t kSaveEveryMs = 10'000;
constexpr std::size_t kSnapshotsKept = 1'024;
}  // namespace

KnownClient& ClientRegistry::entry(std::string_view clientId, std::int64_t nowMs, bool& known) {
  const auto found = clients_.find(std::string(clientId));
  known = found != clients_.end() && !expired(found->second, nowMs);
  if (found != clients_.end()) {
    if (!known) found->second = {};
    return found->second;
  }
  if (clients_.size() >= settings_.maxClients) {
    clients_.erase(std::min_element(clients_.begin(), clients_.end(), [](const auto& a, const auto& b) {
      return a.second.lastSeenMs < b.second.lastSeenMs;
    }));
  }
  changed_ = true;
  return clients_[std::string(clientId)];
}

std::optional<std::string> ClientRegistry::notePull(const Pull& pull) {
  const std::lock_guard lock(mutex_);
  bool known = false;
  KnownClient& client = entry(pull.clientId, pull.nowMs, known);
  moved_ = true;
  changed_ = changed_ || !known || client.view != pull.view || (pull.underRules && tookOther(pull));
  return judgeLocked(pull, known, client);
}

ClientRegistry::Judgement ClientRegistry::judge(const Pull& pull) const {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(std::string(pull.clientId));
  const bool known = found != clients_.end() && !expired(found->second, pull.nowMs);
  const KnownClient before = known ? found->second : KnownClient{};
  KnownClient after = before;
  Judgement judgement;
  judgement.resync = judgeLocked(pull, known, after);
  const bool news = known ? after.view != before.view || after.resyncBefore != before.resyncBefore ||
                                after.owesSnapshot != before.owesSnapshot
                          : pull.underRules;
  if (news) judgement.news = std::move(after);
  return judgement;
}

void ClientRegistry::learn(std::string_view clientId, KnownClient client) {
  const std::lock_guard lock(mutex_);
  bool known = false;
  entry(clientId, client.lastSeenMs, known) = std::move(client);
  changed_ = true;
}

std::optional<std::string> ClientRegistry::judgeLocked(const Pull& pull, bool known, KnownClient& client) const {
  const bool upToPurge = known && client.pulledTo >= pull.tombstonesPurgedTo;
  client.lastSeenMs = pull.nowMs;
  const bool otherView = known && (client.view != pull.view || (pull.underRules && tookOther(pull)));
  if (!known || otherView) {
    client.view = pull.view;
    client.resyncBefore = 0;
    client.owesSnapshot = false;
  }
  if (otherView && pull.since > 0) {
    client.resyncBefore = pull.head;
    // Who sees everything has no snapshots noted, and needs none: only other rules change such a view, and they move
    // the head past wherever it stood.
    client.owesSnapshot = pull.underRules;
    return "the client's view changed: its rules or claims are not those it pulled with before";
  }
  if (!known && pull.since > 0 && pull.underRules) {
    const bool vouched = pull.fromNow || tookSnapshot(pull.view, pull.since);
    client.resyncBefore = vouched ? pull.since : pull.head;
    client.owesSnapshot = !vouched;
    if (!vouched)
      return "the client is not known (any more), and its rules or claims may not be those it pulled with before";
  }
  const bool owes = client.owesSnapshot && !pull.fromNow && !tookSnapshot(pull.view, pull.since);
  if (pull.since > 0 && (owes || pull.since < client.resyncBefore)) {
    return "the client's view changed and it has not taken a snapshot since";
  }
  if (pull.since > 0 && pull.since < pull.tombstonesPurgedTo && !upToPurge) {
    return "erases that the client has not seen are forgotten: it was away for longer than tombstoneRetention";
  }
  client.owesSnapshot = false;
  client.pulledTo = pull.since;
  return std::nullopt;
}

void ClientRegistry::noteSnapshot(std::string_view clientId, std::uint64_t head, std::string_view view,
                                  std::int64_t nowMs, bool underRules) {
  const std::lock_guard lock(mutex_);
  bool known = false;
  KnownClient& client = entry(clientId, nowMs, known);
  const bool otherView = known ? client.view != view : underRules;
  if (otherView || client.owesSnapshot) client.resyncBefore = head;
  client.owesSnapshot = false;
  changed_ = changed_ || client.view != view;
  client.view = view;
  client.pulledTo = head;
  client.lastSeenMs = nowMs;
  moved_ = true;
}

void ClientRegistry::noteSnapshot(std::string_view view, std::uint64_t head) {
  const std::lock_guard lock(mutex_);
  if (tookSnapshot(view, head)) return;
  if (snapshots_.size() == kSnapshotsKept) snapshots_.pop_front();
  snapshots_.emplace_back(head, view);
}

bool ClientRegistry::tookSnapshot(std::string_view view, std::uint64_t head) const {
  return std::any_of(snapshots_.begin(), snapshots_.end(),
                     [&](const auto& noted) { return noted.first == head && noted.second == view; });
}

bool ClientRegistry::tookOther(const Pull& pull) const {
  return std::any_of(snapshots_.begin(), snapshots_.end(),
                     [&](const auto& noted) { return noted.first == pull.since && noted.second != pull.view; });
}

std::optional<std::uint64_t> ClientRegistry::pulledTo(std::string_view clientId) const {
  const std::lock_guard lock(mutex_);
  const auto found = clients_.find(std::string(clientId));
  return found != clients_.end() ? std::optional(found->second.pulledTo) : std::nullopt;
}

bool ClientRegistry::forget(std::string_view clientId) {
  const std::lock_guard lock(mutex_);
  const bool known = clients_.erase(std::string(clientId)) > 0;
  changed_ = changed_ || known;
  return known;
}

std::optional<std::uint64_t> ClientRegistry::leastPulledTo(std::int64_t nowMs) {
  const std::lock_guard lock(mutex_);
  std::optional<std::uint64_t> least;
  for (auto at = clients_.begin(); at != clients_.end();) {
    if (expired(at->second, nowMs)) {
      at = clients_.erase(at);
      changed_ = true;
      continue;
    }
    least = std::min(least.value_or(UINT64_MAX), at->second.pulledTo);
    ++at;
  }
  return least;
}

std::size_t ClientRegistry::count(std::int64_t nowMs) const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(),
                                                [&](const auto& entry) { return !expired(entry.second, nowMs); }));
}

std::size_t ClientRegistry::bytes() const {
  const std::lock_guard lock(mutex_);
  constexpr std::size_t kNode = 224;  // node, bucket, and the texts of id and fingerprint on the heap
  constexpr std::size_t kSnapshot = 128;
  return clients_.size() * kNode + snapshots_.size() * kSnapshot;
}

std::string ClientRegistry::encodeLocked() const {
  std::string out;
  putVarint(clients_.size(), out);
  for (const auto& [id, client] : clients_) {
    putText(id, out);
    putFixed64(client.pulledTo, out);
    putFixed64(static_cast<std::uint64_t>(client.lastSeenMs), out);
    putText(client.view, out);
    putFixed64(client.resyncBefore, out);
    out.push_back(client.owesSnapshot ? 1 : 0);
  }
  return out;
}

std::string ClientRegistry::encode() const {
  const std::lock_guard lock(mutex_);
  return encodeLocked();
}

std::optional<std::string> ClientRegistry::encodeIfDue(std::int64_t nowMs) {
  const std::lock_guard lock(mutex_);
  const std::int64_t silence = nowMs - savedMs_;
  if (!(changed_ && silence >= kSaveNewsEveryMs) && !(moved_ && silence >= kSaveEveryMs)) return std::nullopt;
  changed_ = moved_ = false;
  savedMs_ = nowMs;
  return encodeLocked();
}

std::string ClientRegistry::encodeSnapshots() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [stamp, view] : snapshots_) {
    putFixed64(stamp, out);
    putText(view, out);
  }
  return out;
}

void ClientRegistry::decodeSnapshots(std::string_view octets) {
  for (PackedReader in(octets); !in.done();) {
    const std::uint64_t stamp = in.fixed64();
    noteSnapshot(in.text(), stamp);
  }
}

void ClientRegistry::decode(std::string_view octets) {
  const std::lock_guard lock(mutex_);
  PackedReader in(octets);
  for (std::uint64_t left = in.varint(); left > 0; --left) {
    std::string id(in.text());
    KnownClient client;
    client.pulledTo = in.fixed64();
    client.lastSeenMs = static_cast<std::int64_t>(in.fixed64());
    client.view = in.text();
    client.resyncBefore = in.fixed64();
    client.owesSnapshot = in.octet() != 0;
    clients_.insert_or_assign(std::move(id), std::move(client));
  }
}

void ClientRegistry::markUnsaved() {
  const std::lock_guard lock(mutex_);
  changed_ = true;
}

}  // namespace tidegate::detail
