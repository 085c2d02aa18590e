#include <charconv>
#include <utility>

#include "server/detail/sync_core.h"

namespace tidegate::server::detail {
namespace {

constexpr std::size_t kDefaultPull = 100;
constexpr std::size_t kMostPulled = 10'000;
constexpr std::size_t kInlinePull = 1'000;  ///< larger pages, and filtered ones, are read on a thread that may wait

std::string neededParameter(const std::string& query, std::string_view name) {
  auto value = http::queryParameter(query, name);
  if (!value || value->empty()) refuseSync(400, "VALIDATION_ERROR", "missing query parameters: since and clientId");
  return *std::move(value);
}

std::size_t pullLimit(const std::string& query) {
  const auto text = http::queryParameter(query, "limit");
  if (!text || text->empty()) return kDefaultPull;
  std::size_t limit = 0;
  const auto [end, failure] = std::from_chars(text->data(), text->data() + text->size(), limit);
  if (failure == std::errc::result_out_of_range) return kMostPulled;
  if (failure != std::errc{} || end != text->data() + text->size() || limit == 0) {
    refuseSync(400, "VALIDATION_ERROR", "\"limit\" must be a positive whole number");
  }
  return std::min(limit, kMostPulled);
}

SyncPull readPull(const std::string& query) {
  SyncPull pull;
  const auto since = Hlc::parse(neededParameter(query, "since"));
  pull.clientId = neededParameter(query, "clientId");
  if (!since) refuseSync(400, "VALIDATION_ERROR", "\"since\" must be a decimal number of 64 bits");
  pull.sinceHlc = *since;
  pull.maxDeltas = pullLimit(query);
  return pull;
}

Gateway& pullSource(const ServedGateway& served, const std::string& query) {
  const auto source = http::queryParameter(query, "source");
  if (!source || source->empty()) return *served.gateway;
  const auto at = served.sources.find(*source);
  if (at == served.sources.end()) refuseSync(404, "NOT_FOUND", "no source of that name; leave it out, or name another");
  return *at->second;
}

void servePull(SyncCore& core, Call&& given, http::Responder& answer) {
  const ServedGateway& served = core.gatewayFor(given);
  const SyncPull pull = readPull(given.request.query);
  core.checkClient(given.who, pull.clientId);
  Gateway& from = pullSource(served, given.request.query);
  const auto page = [&core, &served, &from, pull](const Claims& claims) {
    return syncJson(toJson(core.pull(served, from, pull, claims)));
  };
  // What rules filter may have to read much of the log for a page.
  if (pull.maxDeltas <= kInlinePull && from.syncRules().buckets().empty()) {
    return answer.send(page(given.who.claims));
  }
  core.elsewhere(std::move(answer),
                 [page, claims = std::move(given.who.claims)](auto& later) { later.send(page(claims)); });
}

}  // namespace

void addSyncPull(Api& api, SyncCore& core) {
  Operation pull = syncOperation("GET", "/v1/sync/{gateway}/pull", "syncPull",
                                 "Gives what the caller may see of the log after a position");
  pull.query = {
      {"since", "The serverHlc of the last page or checkpoint; 0 from the beginning",
       R"({"type":"string","pattern":"^[0-9]{1,20}$"})", true},
      {"clientId", "Who pulls: the token's subject, or one of its client ids", R"({"type":"string"})", true},
      {"limit", "Deltas in the page, at most", R"({"type":"integer","minimum":1,"maximum":10000,"default":100})"},
      {"source", "Another log that this gateway knows by that name"}};
  pull.answers.push_back({200, "A page of the log", "application/json", R"({"$ref":"#/components/schemas/SyncPage"})"});
  pull.answers.push_back({400, "A parameter is missing or malformed", "application/problem+json",
                          R"({"$ref":"#/components/schemas/SyncFailure"})"});
  pull.handler = [&core](Call&& call, http::Responder answer) {
    SyncCore::answering(answer, [&](http::Responder& to) { servePull(core, std::move(call), to); });
  };
  api.add(std::move(pull));
}

}  // namespace tidegate::server::detail
