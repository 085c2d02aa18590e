#include "nats/detail/log_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace tidegate::nats::detail {
namespace {

/// The server says every second that a request still waits.
constexpr std::chrono::seconds kHeartbeat{1};
constexpr std::chrono::milliseconds kSilence{3'500};
constexpr std::chrono::seconds kExpires{30};

std::uint64_t numberOf(std::string_view text) noexcept {
  std::uint64_t n = 0;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

}  // namespace

bool deliveryFrom(std::string_view reply, Delivery& out) noexcept {
  // $JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<its own>.<time>.<pending>, or with domain and account before
  // the stream.
  std::array<std::string_view, 12> tokens{};
  std::size_t count = 0;
  while (count < tokens.size()) {
    const std::size_t dot = reply.find('.');
    tokens[count++] = reply.substr(0, dot);
    if (dot == std::string_view::npos) break;
    reply.remove_prefix(dot + 1);
  }
  if (count < 9 || tokens[0] != "$JS" || tokens[1] != "ACK") return false;
  const std::size_t shift = count == 9 ? 0 : 2;
  if (count != 9 && count < 11) return false;
  out = {numberOf(tokens[5 + shift]), numberOf(tokens[8 + shift])};
  return out.sequence != 0;
}

bool endsRequest(std::string_view status, std::string_view left) noexcept {
  return status == "408" || status == "404" || (status == "409" && !left.empty());
}

LogReader::LogReader(JetStream& js, std::string stream, std::uint64_t after, Options options)
    : js_(js),
      stream_(std::move(stream)),
      options_(std::move(options)),
      inbox_(Connection::freshInbox()),
      connected_(js.connection().timesReconnected()),
      messages_(js.connection().subscribe(inbox_)),
      consumer_(js.makeConsumer(stream_, after + 1, options_.subject)),
      sequence_(after),
      heard_(js.connection().clock().steadyNow()),
      brought_(heard_) {}

LogReader::~LogReader() { js_.removeConsumer(stream_, consumer_); }

void LogReader::ask() {
  if (asked_ > options_.batch / 2) return;
  const std::size_t bytes = std::max(options_.batchBytes, 2 * js_.connection().maxPayload());
  js_.connection().publish(
      "$JS.API.CONSUMER.MSG.NEXT." + stream_ + "." + consumer_, inbox_,
      fmt::format(R"({{"batch":{},"max_bytes":{},"expires":{},"idle_heartbeat":{}}})", options_.batch, bytes,
                  std::chrono::nanoseconds(kExpires).count(), std::chrono::nanoseconds(kHeartbeat).count()));
  const bool first = asked_ == 0;
  asked_ += options_.batch;
  if (first) js_.connection().hurry();
}

Msg LogReader::next(std::chrono::milliseconds wait) {
  const Clock& clock = js_.connection().clock();
  const auto since = clock.steadyNow();
  for (;;) {
    ask();
    const auto now = clock.steadyNow();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(since + wait - now);
    Msg msg = messages_.next(std::max(left, std::chrono::milliseconds(0)));
    if (!msg) {
      if (now - heard_ > kSilence) {
        throw Error(ErrorCode::connectionFailed, Retry::later,
                    fmt::format("nats: the consumer of stream \"{}\" is silent: its server may be gone", stream_));
      }
      requireProgress(now);
      if (left.count() <= 0) return nullptr;
      continue;
    }
    heard_ = now;
    if (const std::string_view status = statusOf(msg.get()); !status.empty()) {
      takeStatus(msg.get(), status);
      continue;
    }
    Delivery delivery;
    const char* reply = natsMsg_GetReply(msg.get());
    if (reply == nullptr || !deliveryFrom(reply, delivery)) continue;
    asked_ -= std::min<std::uint64_t>(asked_, 1);
    if (delivery.sequence <= sequence_) continue;
    if (delivery.sequence != sequence_ + 1 && options_.subject.empty()) refuseGap(delivery.sequence);
    sequence_ = delivery.sequence;
    brought_ = now;
    pending_ = delivery.pending;
    return msg;
  }
}

void LogReader::requireProgress(std::chrono::microseconds now) {
  if (js_.connection().timesReconnected() != connected_) {
    throw Error(
        ErrorCode::connectionFailed, Retry::later,
        fmt::format("nats: the connection broke while stream \"{}\" was read: what was sent may be lost", stream_));
  }
  if (!options_.subject.empty() || now - brought_ < options_.stalled) return;
  if (owed_ > sequence_) {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                fmt::format("nats: the consumer of stream \"{}\" brings nothing after message {}, though there is {}",
                            stream_, sequence_, owed_));
  }
  owed_ = js_.info(stream_).lastSequence;
  brought_ = now;
}

void LogReader::takeStatus(natsMsg* msg, std::string_view status) {
  if (status == "100") return;  // still there
  const std::string_view text = headerOf(msg, "Description");
  const std::string_view left = headerOf(msg, "Nats-Pending-Messages");
  if (!endsRequest(status, left)) {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                fmt::format("nats: the consumer of stream \"{}\" is gone: {} {}", stream_, status, text));
  }
  asked_ = left.empty() ? 0 : asked_ - std::min(asked_, numberOf(left));
}

void LogReader::refuseGap(std::uint64_t found) {
  const StreamInfo info = js_.info(stream_);
  if (info.firstSequence > sequence_ + 1) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                fmt::format("stream \"{}\" no longer has what follows message {}: it begins with {}. Take a new "
                            "baseline, and let the stream keep more",
                            stream_, sequence_, info.firstSequence));
  }
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("nats: message {} of stream \"{}\" came after {}: reading anew", found, stream_, sequence_));
}

}  // namespace tidegate::nats::detail
