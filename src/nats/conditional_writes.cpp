#include "nats/detail/conditional_writes.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "nats/detail/fenced_log.h"

namespace tidegate::nats::detail {
namespace {

constexpr const char* kExpectSubjectHeader = "Nats-Expected-Last-Subject-Sequence";
constexpr unsigned kMostDodge = 20;  ///< milliseconds
constexpr std::chrono::milliseconds kLeastDodging{100};

/// So that writers of several subjects do not meet again and again.
std::chrono::milliseconds pauseAfter(unsigned tries) {
  static thread_local std::minstd_rand random{std::random_device{}()};
  return std::chrono::milliseconds(random() % std::min(2 * tries + 1, kMostDodge));
}

}  // namespace

void ConditionalWrites::learn(const StreamInfo& info) {
  servers_ = info.leader.empty() ? Servers::one : Servers::several;
  learn(info.lastSequence);
}

void ConditionalWrites::learn(std::uint64_t last) {
  std::uint64_t known = last_.load();
  while (known < last && !last_.compare_exchange_weak(known, last)) continue;
}

PublishAck ConditionalWrites::send(const Message& message, std::uint64_t revision, std::uint64_t last,
                                   const std::string& what) {
  std::vector<Header> headers = message.headers;
  headers.push_back({kExpectSubjectHeader, std::to_string(revision)});
  if (servers_ == Servers::several) headers.push_back({kExpectHeader, std::to_string(last)});
  const Msg msg = makeMsg(message.subject, nullptr, headers, message.body);
  const Msg answer = js_.connection().request(msg.get(), Effect::possible, what);
  const PublishAck ack = parseAck(bodyOf(answer.get()));
  if (ack.sequence != 0) learn(ack.sequence);
  return ack;
}

PublishAck ConditionalWrites::write(const Message& message, std::uint64_t revision, const std::string& what) {
  if (servers_ == Servers::unknown) learn(js_.info(stream_));
  learn(revision);
  Connection& connection = js_.connection();
  const auto since = connection.clock().steadyNow();
  for (unsigned tries = 0;; ++tries) {
    const PublishAck ack = send(message, revision, last_.load(), what);
    if (ack.error.errorCode != kWrongLastSequence || ack.sequence != 0 || servers_ == Servers::one) return ack;
    const auto there = js_.last(stream_, message.subject);
    if ((there ? there->sequence : 0) != revision) return ack;
    if (connection.clock().steadyNow() - since >= std::max(connection.options().retryFor, kLeastDodging)) {
      throw Error(ErrorCode::connectionFailed, Retry::later,
                  fmt::format("nats: {}: others write to stream \"{}\" all the time", what, stream_));
    }
    if (tries > 0) connection.scheduler().waitFor(pauseAfter(tries), {});
    learn(js_.info(stream_));
  }
}

}  // namespace tidegate::nats::detail
