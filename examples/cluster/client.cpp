#include "client.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "tidegate/core/json.h"
#include "tidegate/gateway/messages.h"

using namespace std::chrono_literals;
using namespace tidegate;

Client::Client(std::vector<std::string> gateways, std::string region, std::string name, std::uint64_t seed)
    : gateways_(std::move(gateways)),
      region_(std::move(region)),
      name_(std::move(name)),
      random_(seed),
      http_({.headers = {{"authorization", fmt::format("Bearer {}:{}", region_, name_)}}, .connectTimeout = 1s}),
      at_(seed % gateways_.size()) {}

void Client::move() {
  if (gateways_.size() < 2) return;
  at_ = (at_ + 1 + random_() % (gateways_.size() - 1)) % gateways_.size();
  ++moves_;
}

bool Client::ask(http::ClientRequest request, std::stop_token stop, http::Response& answer) {
  request.url = gateways_[at_] + "/v1/sync/shop/" + request.url;
  request.timeout = 5s;
  try {
    answer = http_.perform(request, stop);
    if (answer.status == 200) return true;
    failure_ = fmt::format("{} answered {}: {}", gateways_[at_], answer.status, answer.body);
  } catch (const Error& failure) {
    failure_ = failure.what();
  }
  move();
  return false;
}

void Client::push(std::stop_token stop) {
  SyncPush note{.clientId = name_,
                .deltas = {{.op = DeltaOp::insert,
                            .table = "notes",
                            .rowId = fmt::format("{}-{}", name_, notes_++),
                            .clientId = name_,
                            .columns = {{"text", Value("by " + name_)}},
                            .hlc = clock_.now()}}};
  const std::string body = toJson(note);
  http::Response answer;
  while (!ask({.method = "POST", .url = "push", .body = body}, stop, answer)) {
    if (stop.stop_requested()) return;
    std::this_thread::sleep_for(50ms);
  }
  acknowledged_.insert(note.deltas[0].rowId);
}

bool Client::pull(std::stop_token stop) {
  for (bool more = true; more;) {
    if (!pullPage(stop, more)) return false;
  }
  return true;
}

bool Client::pullPage(std::stop_token stop, bool& more) {
  http::Response answer;
  if (!ask({.url = fmt::format("pull?since={}&clientId={}&limit=1000", since_, name_)}, stop, answer)) return false;
  const PullResult page = pullResultFromJson(answer.body);
  if (page.mustResync) return resync(stop);
  replica_.apply(page.deltas);
  since_ = page.serverHlc.text();
  more = page.hasMore;
  return true;
}

bool Client::resync(std::stop_token stop) {
  http::Response answer;
  if (!ask({.url = "checkpoint?clientId=" + name_, .headers = {{"accept", "application/json"}}}, stop, answer))
    return false;
  const nlohmann::json whole = nlohmann::json::parse(answer.body);
  std::vector<RowDelta> rows;
  for (const nlohmann::json& row : whole.at("deltas")) rows.push_back(deltaFromJson(row.dump()));
  replica_.clear();
  replica_.apply(rows);
  since_ = whole.at("snapshotHlc").get<std::string>();
  ++resyncs_;
  return true;
}
