#include <algorithm>
#include <nlohmann/json.hpp>

#include "durable_streams/detail/protocol.h"
#include "durable_streams/detail/subscriptions.h"
#include "durable_streams/detail/webhook_url.h"
#include "tidegate/core/value.h"

namespace tidegate::durable_streams::detail {

namespace {

using nlohmann::json;

http::Response jsonAnswer(int status, const json& body) {
  http::Response response = answerOf(status);
  response.headers.add("Content-Type", "application/json");
  response.headers.add("Cache-Control", "no-store");
  response.body = body.dump(-1, ' ', false, json::error_handler_t::replace);
  return response;
}

http::Response failure(int status, const char* code, const std::string& message) {
  return jsonAnswer(status, {{"error", {{"code", code}, {"message", message}}}});
}

http::Response noSubscription() { return failure(404, "SUBSCRIPTION_NOT_FOUND", "there is no such subscription"); }
http::Response invalid(const std::string& why) { return failure(400, "INVALID_REQUEST", why); }

http::Response methodRefused(const char* allowed) {
  http::Response response = refusal(405, "this path takes other methods");
  response.headers.add("Allow", allowed);
  return response;
}

}  // namespace

StreamAction Subscriptions::actionOf(const std::vector<std::string>& rest) {
  if (rest.size() == 1 && rest[0] == "jwks.json") return StreamAction::keys;
  return rest.size() == 3 && rest[2] == "claim" ? StreamAction::claim : StreamAction::subscribe;
}

bool Subscriptions::carriesToken(const std::vector<std::string>& rest) {
  return rest.size() == 3 && (rest[2] == "callback" || rest[2] == "ack" || rest[2] == "release");
}

std::string Subscriptions::createProblem(const SubscriptionConfig& config, const char*& code) const {
  code = "INVALID_REQUEST";
  const SubscriptionOptions& options = options_.subscriptions;
  if (all_.size() >= options.subscriptions) return "the server holds as many subscriptions as it may";
  if (config.streams.size() > options.streamsPerSubscription) return "more streams than a subscription may follow";
  if (!config.webhook) return {};
  if (!options.webhooks) return "this server delivers no webhooks";
  code = "WEBHOOK_URL_REJECTED";
  if (const std::string why = webhookUrlProblem(config.url, options.localWebhooks); !why.empty()) return why;
  if (options.webhookAllowed && !options.webhookAllowed(config.url))
    return "this server does not deliver webhooks to that URL";
  return {};
}

http::Response Subscriptions::put(const Call& call, SubscriptionWork& work) {
  ConfigFields fields = configFrom(call.body);
  if (!fields.problem.empty()) return invalid(fields.problem);
  const auto there = all_.find(call.id);
  if (there != all_.end()) {
    if (there->second.config == fields.config) return jsonAnswer(200, describe(there->second));
    return failure(409, "SUBSCRIPTION_ALREADY_EXISTS", "a subscription with another configuration has this id");
  }
  const char* code = nullptr;
  if (const std::string why = createProblem(fields.config, code); !why.empty()) return failure(400, code, why);
  Subscription& s = all_[call.id];
  s.id = call.id;
  s.config = std::move(fields.config);
  s.origin = call.origin;
  s.createdAt = toIso(Timestamp::utc(clock_.wallNow().count()));
  keep(s, work);
  for (const std::string& path : s.config.streams) link(s, path, true, tailOf(path), work);
  if (!s.config.pattern.empty()) {
    for (const std::string& path : store_.paths()) {
      if (globMatches(s.config.pattern, path)) link(s, path, false, tailOf(path), work);
    }
  }
  followers_.clear();
  count_ = all_.size();
  return jsonAnswer(201, describe(s));
}

http::Response Subscriptions::get(const Call& call) {
  const auto at = all_.find(call.id);
  return at == all_.end() ? noSubscription() : jsonAnswer(200, describe(at->second));
}

http::Response Subscriptions::erase(const Call& call, SubscriptionWork& work) {
  const auto at = all_.find(call.id);
  if (at == all_.end()) return answerOf(204);
  work.notes.emplace_back(subscriptionKey(call.id), "");
  for (const auto& [path, link] : at->second.links) work.notes.emplace_back(linkKey(call.id, path), "");
  all_.erase(at);
  followers_.clear();
  count_ = all_.size();
  return answerOf(204);
}

http::Response Subscriptions::addStreams(const Call& call, SubscriptionWork& work) {
  const auto at = all_.find(call.id);
  if (at == all_.end()) return noSubscription();
  const auto streams = call.body.is_object() ? call.body.find("streams") : call.body.end();
  const auto isPath = [](const json& one) { return one.is_string() && !trimSlashes(one.get<std::string>()).empty(); };
  if (streams == call.body.end() || !streams->is_array() || !std::all_of(streams->begin(), streams->end(), isPath)) {
    return invalid("streams must be an array of paths");
  }
  if (at->second.links.size() + streams->size() > options_.subscriptions.streamsPerSubscription) {
    return invalid("more streams than a subscription may follow");
  }
  for (const json& one : *streams) {
    const std::string path = trimSlashes(one.get<std::string>());
    link(at->second, path, true, tailOf(path), work);
    followers_.erase(path);
  }
  return answerOf(204);
}

http::Response Subscriptions::dropStream(const Call& call, const std::string& path, SubscriptionWork& work) {
  const auto at = all_.find(call.id);
  if (at == all_.end()) return noSubscription();
  const auto link = at->second.links.find(path);
  if (link == at->second.links.end() || !link->second.listed) return answerOf(204);
  link->second.listed = false;
  if (link->second.glob) {
    work.notes.emplace_back(linkKey(call.id, path), linkNote(link->second));
  } else {
    at->second.links.erase(link);
    work.notes.emplace_back(linkKey(call.id, path), "");
    followers_.erase(path);
  }
  return answerOf(204);
}

http::Response Subscriptions::claim(const Call& call, SubscriptionWork& work) {
  const auto at = all_.find(call.id);
  if (at == all_.end()) return noSubscription();
  Subscription& s = at->second;
  if (s.config.webhook) return invalid("only pull-wake subscriptions are claimed");
  const std::string worker = call.body.is_object() && call.body.contains("worker") && call.body["worker"].is_string()
                                 ? call.body["worker"].get<std::string>()
                                 : "";
  if (worker.empty()) return invalid("worker must name who claims");
  if (!s.holder.empty()) {
    return jsonAnswer(
        409, {{"error", {{"code", "ALREADY_CLAIMED"}, {"current_holder", s.holder}, {"generation", s.generation}}}});
  }
  const bool pending =
      std::any_of(s.links.begin(), s.links.end(), [&](const auto& one) { return isPending(one.first, one.second); });
  if (!pending) return failure(409, "NO_PENDING_WORK", "nothing is left to be done");
  if (s.wakeId.empty()) wakeIfPending(s, work);
  s.holder = worker;
  s.leaseUntil = clock_.wallNow() + s.config.lease;
  keep(s, work);
  const auto expires = std::chrono::duration_cast<std::chrono::seconds>(clock_.wallNow()) + std::chrono::hours(1);
  return jsonAnswer(200, {{"wake_id", s.wakeId},
                          {"generation", s.generation},
                          {"token", tokens_->make(s.id, s.generation, expires)},
                          {"streams", streamsOf(s, true)},
                          {"lease_ttl_ms", s.config.lease.count()}});
}

/// Status 200 where the request is of the wake that is under way.
http::Response Subscriptions::fenced(const Subscription& s, const Call& call) const {
  std::string_view token = call.request.headers.get("Authorization");
  if (!token.starts_with("Bearer ")) return failure(401, "TOKEN_INVALID", "the request carries no bearer token");
  token.remove_prefix(7);
  std::uint64_t generation = 0;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.wallNow());
  switch (tokens_->check(token, s.id, now, generation)) {
    case TokenVerdict::invalid:
      return failure(401, "TOKEN_INVALID", "the token is not of this subscription");
    case TokenVerdict::expired:
      return failure(401, "TOKEN_EXPIRED", "the token has expired");
    case TokenVerdict::good:
      break;
  }
  const json& body = call.body;
  const bool current = body.is_object() && !s.wakeId.empty() && generation == s.generation &&
                       body.value("generation", json()) == json(s.generation) &&
                       body.value("wake_id", json()) == json(s.wakeId);
  if (!current) return failure(409, "FENCED", "another wake has taken this one's place");
  return answerOf(200);
}

/// Status 200 where all of them were applied; else none was.
http::Response Subscriptions::applyAcks(Subscription& s, const json& acks, SubscriptionWork& work) {
  if (!acks.is_array()) return invalid("acks must be an array");
  std::vector<std::pair<std::string, Position>> all;
  for (const json& ack : acks) {
    if (!ack.is_object()) return invalid("acks must be an array of objects");
    const json stream = ack.value("stream", ack.value("path", json()));
    const json offset = ack.value("offset", json());
    const std::string path = stream.is_string() ? trimSlashes(stream.get<std::string>()) : "";
    const auto link = s.links.find(path);
    if (link == s.links.end()) return failure(409, "INVALID_OFFSET", "the subscription does not follow that stream");
    const auto position = offset.is_string() ? parsePosition(offset.get<std::string>()) : std::nullopt;
    if (!position) return failure(409, "INVALID_OFFSET", "the offset is not one that this server gave out");
    if (link->second.acked && *position < *link->second.acked) {
      return failure(409, "INVALID_OFFSET", "the offset lies before what was acknowledged");
    }
    if (*position > tailOf(path)) return failure(409, "INVALID_OFFSET", "the offset lies beyond the stream's tail");
    all.emplace_back(path, *position);
  }
  for (const auto& [path, position] : all) {
    SubscriptionLink& link = s.links.at(path);
    link.acked = std::max(link.acked.value_or(0), position);
    work.notes.emplace_back(linkKey(s.id, path), linkNote(link));
  }
  return answerOf(200);
}

http::Response Subscriptions::acknowledge(const Call& call, bool webhook, SubscriptionWork& work) {
  const auto at = all_.find(call.id);
  if (at == all_.end()) return noSubscription();
  Subscription& s = at->second;
  if (s.config.webhook != webhook) return invalid("the subscription is of the other type");
  if (http::Response refused = fenced(s, call); refused.status != 200) return refused;
  if (call.body.contains("acks")) {
    if (http::Response refused = applyAcks(s, call.body["acks"], work); refused.status != 200) return refused;
  }
  bool next = false;
  if (call.body.value("done", json(false)) == json(true)) {
    letGo(s);
    next = wakeIfPending(s, work);
  } else {
    s.leaseUntil = clock_.wallNow() + s.config.lease;
  }
  keep(s, work);
  return jsonAnswer(200, {{"ok", true}, {"next_wake", next}});
}

http::Response Subscriptions::release(const Call& call, SubscriptionWork& work) {
  const auto at = all_.find(call.id);
  if (at == all_.end()) return noSubscription();
  Subscription& s = at->second;
  if (s.config.webhook) return invalid("only pull-wake subscriptions are released");
  if (http::Response refused = fenced(s, call); refused.status != 200) return refused;
  letGo(s);
  wakeIfPending(s, work);
  keep(s, work);
  return answerOf(204);
}

http::Response Subscriptions::dispatch(const Call& call, const std::vector<std::string>& rest, SubscriptionWork& work) {
  const std::string& method = call.request.method;
  if (rest.size() == 2) {
    if (method == "PUT") return put(call, work);
    if (method == "GET" || method == "HEAD") return get(call);
    if (method == "DELETE") return erase(call, work);
    return methodRefused("PUT, GET, DELETE");
  }
  if (rest[2] == "streams" && rest.size() > 3) {
    std::string path = rest[3];
    for (std::size_t i = 4; i < rest.size(); ++i) path += "/" + rest[i];
    return method == "DELETE" ? dropStream(call, trimSlashes(path), work) : methodRefused("DELETE");
  }
  if (rest.size() != 3) return noSubscription();
  if (method != "POST") return methodRefused("POST");
  if (rest[2] == "streams") return addStreams(call, work);
  if (rest[2] == "callback") return acknowledge(call, true, work);
  if (rest[2] == "ack") return acknowledge(call, false, work);
  if (rest[2] == "claim") return claim(call, work);
  if (rest[2] == "release") return release(call, work);
  return noSubscription();
}

void Subscriptions::handle(const http::Request& request, const std::vector<std::string>& rest,
                           const std::string& origin, Reply reply) {
  if (rest.size() == 1 && rest[0] == "jwks.json") {
    if (request.method != "GET" && request.method != "HEAD") return reply(methodRefused("GET"));
    http::Response response = answerOf(200);
    response.headers.add("Content-Type", "application/jwk-set+json");
    response.headers.add("Cache-Control", "public, max-age=300");
    const std::lock_guard guard(mutex_);
    response.body = keySet(keys_);
    return reply(std::move(response));
  }
  if (!options_.subscriptions.enabled || rest.size() < 2 || rest[0] != "subscriptions" || rest[1].empty())
    return reply(noSubscription());
  const json body = request.body.empty() ? json::object() : json::parse(request.body, nullptr, false);
  if (body.is_discarded()) return reply(invalid("the body is not JSON"));
  if (rest[1].size() > 256) return reply(invalid("an id has at most 256 octets"));
  SubscriptionWork work;
  {
    const std::lock_guard guard(mutex_);
    work.response = dispatch({rest[1], request, origin, body}, rest, work);
  }
  work.reply = std::move(reply);
  finish(std::move(work));
}

}  // namespace tidegate::durable_streams::detail
