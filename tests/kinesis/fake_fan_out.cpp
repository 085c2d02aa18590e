// Enhanced fan-out of the fake: consumers, and subscriptions that are pushed to.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"
#include "kinesis/event_octets.h"
#include "kinesis/fake_kinesis.h"

namespace tidegate::kinesis::testing {
namespace {

using FanOutJson = nlohmann::json;
using FanOutTime = std::chrono::steady_clock;

constexpr int kLooksUntilActive = 2;
constexpr std::ptrdiff_t kRecordsInAnEvent = 3;
const std::string kStreamArn = "arn:aws:kinesis:us-east-1:1:stream/fake";

std::string arnFor(const std::string& name) { return kStreamArn + "/consumer/" + name + ":1"; }

}  // namespace

std::string FakeKinesis::addConsumer(const std::string& name) {
  const std::lock_guard lock(mutex_);
  consumers_[arnFor(name)] = {name, 0};
  return arnFor(name);
}
std::vector<std::string> FakeKinesis::consumers() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [arn, consumer] : consumers_) names.push_back(consumer.name);
  return names;
}
void FakeKinesis::setConsumerLimit(std::size_t most) {
  const std::lock_guard lock(mutex_);
  consumerLimit_ = most;
}
void FakeKinesis::setBusyTime(std::chrono::milliseconds time) {
  const std::lock_guard lock(mutex_);
  busyTime_ = time;
}
void FakeKinesis::damageNextEvent() {
  const std::lock_guard lock(mutex_);
  damage_ = true;
}
std::vector<std::string> FakeKinesis::begins() const {
  const std::lock_guard lock(mutex_);
  return begins_;
}

void FakeKinesis::expireSubscriptions() {
  const std::lock_guard lock(mutex_);
  for (const Open& open : open_) open.body.end();
  open_.clear();
}
void FakeKinesis::cutSubscriptionsWithinAMessage() {
  const std::lock_guard lock(mutex_);
  for (Open& open : open_) {
    const std::string event = eventFor(open);
    open.body.write(event.substr(0, event.size() / 2));
    open.body.after(std::chrono::milliseconds(20), [body = open.body] { body.abort(); });
  }
  open_.clear();
}
void FakeKinesis::sendToSubscriptions(const std::string& octets) {
  const std::lock_guard lock(mutex_);
  for (const Open& open : open_) open.body.write(octets);
}
std::size_t FakeKinesis::subscriptions() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::size_t>(std::count_if(
      open_.begin(), open_.end(), [](const Open& open) { return open.body.pending() != http::BodyStream::kGone; }));
}
std::size_t FakeKinesis::pending(const std::string& shard) const {
  const std::lock_guard lock(mutex_);
  const auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& open) { return open.shard == shard; });
  return found == open_.end() ? 0 : found->body.pending();
}

http::Response FakeKinesis::answerAboutConsumers(const std::string& action, const http::Request& request) {
  const FanOutJson body = FanOutJson::parse(request.body);
  const std::string name = body.value("ConsumerName", "");
  if (body.value("ConsumerARN", "").empty() && body.value("StreamARN", "") != kStreamArn) {
    return refusal(400, "InvalidArgumentException", "no such stream");
  }
  const std::string arn = body.contains("ConsumerARN") ? body.value("ConsumerARN", "") : arnFor(name);
  const auto found = consumers_.find(arn);
  if (action == "RegisterStreamConsumer") {
    if (found != consumers_.end()) return refusal(400, "ResourceInUseException", "it is there");
    if (consumers_.size() >= consumerLimit_) return refusal(400, "LimitExceededException", "too many");
    consumers_[arn] = {name, kLooksUntilActive};
    const FanOutJson made{{"ConsumerARN", arn}, {"ConsumerName", name}, {"ConsumerStatus", "CREATING"}};
    return {.body = FanOutJson{{"Consumer", made}}.dump()};
  }
  if (found == consumers_.end()) return refusal(400, "ResourceNotFoundException", "no such consumer");
  if (action == "DeregisterStreamConsumer") {
    consumers_.erase(found);
    return {};
  }
  const std::string status = found->second.looks == 0 ? "ACTIVE" : "CREATING";
  found->second.looks = std::max(0, found->second.looks - 1);
  const FanOutJson description{{"ConsumerARN", arn}, {"ConsumerName", found->second.name}, {"ConsumerStatus", status}};
  return {.body = FanOutJson{{"ConsumerDescription", description}}.dump()};
}

std::optional<http::Response> FakeKinesis::refusalOf(const std::string& consumer, const std::string& shard) const {
  const auto known = consumers_.find(consumer);
  if (known == consumers_.end() || !shards_.contains(shard)) return refusal(400, "ResourceNotFoundException");
  if (known->second.looks > 0) return refusal(400, "ResourceInUseException", "it is not in ACTIVE status");
  const auto last = subscribed_.find({consumer, shard});
  if (last != subscribed_.end() && FanOutTime::now() - last->second < busyTime_) {
    return refusal(400, "ResourceInUseException", "Another active subscription exists for this consumer");
  }
  return std::nullopt;
}

void FakeKinesis::subscribe(const http::Request& request, http::Responder responder) {
  const FanOutJson body = FanOutJson::parse(request.body);
  const std::string consumer = body.value("ConsumerARN", ""), shard = body.value("ShardId", "");
  const std::lock_guard lock(mutex_);
  auto refused = faultFor({.action = "SubscribeToShard", .shard = shard});
  if (!refused) refused = refusalOf(consumer, shard);
  if (refused) return responder.send(std::move(*refused));
  // The one before it gives way.
  for (Open& open : open_) {
    open.over = open.consumer == consumer && open.shard == shard;
    if (!open.over) continue;
    open.body.write(exceptionMessage("ResourceInUseException", "another subscription"));
    open.body.end();
  }
  std::erase_if(open_, [](const Open& open) { return open.over; });
  const FanOutJson start = body["StartingPosition"];
  const std::string type = start.value("Type", "");
  begins_.push_back(shard + " " + type);
  subscribed_[{consumer, shard}] = FanOutTime::now();
  open_.push_back({consumer, shard,
                   firstOf(shard, type, start.value("SequenceNumber", ""), start.value("Timestamp", 0.0)),
                   FanOutTime::now(), responder.stream(200, {{"content-type", "application/vnd.amazon.eventstream"}})});
  open_.back().body.write(eventMessage("initial-response", "{}"));
  push(open_.back());
  std::erase_if(open_, [](const Open& open) { return open.over; });
}

/// What of the shard comes next; also where that is nothing.
std::string FakeKinesis::eventFor(Open& open) {
  const Shard& shard = shards_.at(open.shard);
  FanOutJson records = FanOutJson::array();
  const auto first = std::find_if(shard.records.begin(), shard.records.end(),
                                  [&](const Record& record) { return record.sequence >= open.from; });
  const std::ptrdiff_t left = shard.records.end() - first;
  for (auto at = first; at != first + std::min(left, kRecordsInAnEvent); ++at) {
    records.push_back({{"SequenceNumber", std::to_string(at->sequence)},
                       {"Data", tidegate::detail::base64Of(at->data)},
                       {"PartitionKey", "k"},
                       {"ApproximateArrivalTimestamp", at->arrival}});
    open.from = at->sequence + 1;
  }
  const bool all = left <= kRecordsInAnEvent;
  FanOutJson event{{"Records", records}, {"MillisBehindLatest", all ? 0 : (left - kRecordsInAnEvent) * 1'000}};
  if (shard.closed && all) {
    for (const auto& [name, child] : shards_) {
      if (std::find(child.parents.begin(), child.parents.end(), open.shard) == child.parents.end()) continue;
      event["ChildShards"].push_back({{"ShardId", name}, {"ParentShards", child.parents}});
    }
    event["ContinuationSequenceNumber"] = nullptr;
    open.over = true;
  } else {
    // Also where no record of this shard has it.
    event["ContinuationSequenceNumber"] = std::to_string(all ? next_ : open.from - 1);
  }
  return eventMessage("SubscribeToShardEvent", event.dump());
}

void FakeKinesis::push(Open& open) {
  for (std::uint64_t before = ~open.from; before != open.from && !open.over;) {
    before = open.from;
    std::string octets = eventFor(open);
    if (damage_ && before != open.from) {
      octets[octets.size() / 2] = static_cast<char>(octets[octets.size() / 2] ^ 1);
      damage_ = false;
    }
    open.body.write(octets);
    if (open.over) open.body.end();
  }
}

void FakeKinesis::pushAll() {
  for (Open& open : open_) {
    if (open.body.pending() == http::BodyStream::kGone)
      open.over = true;
    else
      push(open);
  }
  std::erase_if(open_, [](const Open& open) { return open.over; });
}

}  // namespace tidegate::kinesis::testing
