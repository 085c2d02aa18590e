#include "nats/detail/fenced_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <deque>
#include <utility>

namespace tidegate::nats::detail {
namespace {

enum class Fate {
  open,     ///< sent, no answer yet
  stored,   ///< there, or a duplicate
  refused,  ///< not there, by the server's word
  silent    ///< no answer: it may be there
};

void addHeader(const Msg& msg, const char* name, const std::string& value) {
  const natsStatus status = natsMsgHeader_Set(msg.get(), name, value.c_str());
  if (status != NATS_OK) throwStatus(status, Effect::none, "making a message");
}

/// Fewer than that fill no buffer.
constexpr std::size_t kFewMessages = 256;
/// So many repeated messages are looked up before the next ones are sent.
constexpr int kMostRepeated = 1'024;

}  // namespace

std::size_t OutMessage::bytes() const noexcept {
  std::size_t sum = subject.size() + mark.size() + id.size() + body.size() + 160;
  for (const Header& header : headers) sum += header.value.size() + 24;
  return sum;
}

/// One append.
struct FencedLog::Window {
  std::vector<OutMessage>& messages;
  std::vector<Place>& places;  ///< of the messages before `sent`; certain before `done`
  const BeforeSend beforeSend;
  Order order = Order::free;
  std::size_t done = 0;          ///< the first whose fate is not settled
  std::size_t sent = 0;          ///< the first not sent
  std::uint64_t firstToken = 0;  ///< of message `done`
  std::deque<Fate> fates{};      ///< from `done` to `sent`
  std::size_t openBytes = 0;
  std::size_t open = 0;
  bool odd = false;      ///< something went otherwise than expected: send no more before a resync
  bool unknown = false;  ///< a message may have been stored without our knowledge
  bool outrun = false;   ///< the server says that the stream's last message is another one
  ApiError refusal{};    ///< one that repeating cannot help
  std::chrono::microseconds progress{0};
  unsigned tries = 0;

  void answered(std::size_t at) {
    --open;
    openBytes -= std::min(openBytes, messages[done + at].bytes());
  }
};

FencedLog::FencedLog(JetStream& js, std::string stream, FencedLogOptions options, std::uint64_t last)
    : js_(js),
      connection_(js.connection()),
      stream_(std::move(stream)),
      options_(options),
      inbox_(Connection::freshInbox()),
      answers_(connection_.subscribe(inbox_ + ".*")),
      last_(last) {}

FencedLog::~FencedLog() = default;

void FencedLog::append(std::vector<OutMessage>& messages, std::vector<Place>& places, Order order,
                       const std::stop_token& stop, const BeforeSend& beforeSend) {
  places.clear();
  begin(messages, places, order, beforeSend);
  finish(stop);
}

void FencedLog::begin(std::vector<OutMessage>& messages, std::vector<Place>& places, Order order,
                      BeforeSend beforeSend) {
  const std::size_t from = places.size();
  window_.reset(new Window{.messages = messages,
                           .places = places,
                           .beforeSend = std::move(beforeSend),
                           .order = order,
                           .done = from,
                           .sent = from,
                           .firstToken = token_,
                           .progress = connection_.clock().steadyNow()});
}

void FencedLog::advance(const std::stop_token& stop) {
  Window& window = *window_;
  while (window.sent < window.messages.size()) {
    if (hasRoom(window)) send(window, false);
    if (window.sent < window.messages.size() && window.open > 0) receive(window);
    takeStock(window, stop);
  }
}

void FencedLog::finish(const std::stop_token& stop) {
  Window& window = *window_;
  while (window.done < window.messages.size()) {
    if (hasRoom(window)) send(window, true);
    if (window.open > 0) receive(window);
    takeStock(window, stop);
  }
  window_.reset();
}

void FencedLog::abandon() noexcept {
  if (!window_) return;
  try {
    drain(*window_);
    settle(*window_);
  } catch (...) {  // what is in the stream is found out by the next append
  }
  window_.reset();
}

/// By halves, so that neither side waits for each single message of the other.
bool FencedLog::hasRoom(const Window& window) const noexcept {
  return window.open <= options_.windowMessages / 2 && window.openBytes <= options_.windowBytes / 2;
}

void FencedLog::takeStock(Window& window, const std::stop_token& stop) {
  settle(window);
  if (!window.odd) return;
  drain(window);
  settle(window);
  if (window.refusal.errorCode != 0) {
    throwApiError(window.refusal, fmt::format("appending to stream \"{}\"", stream_));
  }
  resync(window, stop);
}

void FencedLog::send(Window& window, bool atOnce) {
  std::size_t sent = 0;
  while (!window.odd && window.sent < window.messages.size()) {
    OutMessage& message = window.messages[window.sent];
    const std::size_t bytes = message.bytes();
    const std::size_t most = window.order == Order::single ? 1 : options_.windowMessages;
    if (window.open > 0 && (window.open >= most || window.openBytes + bytes > options_.windowBytes)) break;
    if (window.beforeSend) window.beforeSend(window.sent, window.places, window.done, message);
    const std::uint64_t expected = last_ + window.fates.size();
    const std::string reply = inbox_ + "." + std::to_string(token_);
    const Msg msg = makeMsg(message.subject, reply.c_str(), message.headers, message.body);
    addHeader(msg, kMarkHeader, message.mark);
    addHeader(msg, kExpectHeader, std::to_string(expected));
    if (!message.id.empty()) addHeader(msg, kIdHeader, message.id);
    if (window.order == Order::chained && !window.fates.empty()) {
      addHeader(msg, kExpectIdHeader, window.messages[window.sent - 1].id);
    }
    try {
      connection_.publish(msg.get());
    } catch (const Error& e) {
      if (e.code() != ErrorCode::connectionFailed) throw;
      window.odd = true;
      break;
    }
    ++token_;
    ++window.sent;
    ++window.open;
    window.openBytes += bytes;
    window.fates.push_back(Fate::open);
    window.places.push_back({expected + 1, false});
    ++sent;
  }
  // Many are sent by cnats itself soon enough; few would wait for its next look, a millisecond.
  if (atOnce && sent > 0 && sent < kFewMessages) connection_.hurry();
}

/// Takes one answer, or finds that none comes.
void FencedLog::receive(Window& window) {
  Msg answer;
  try {
    answer = answers_.next(connection_.options().requestTimeout);
  } catch (const Error& e) {
    // Among others, cnats says so that nobody was responsible for a message, and not for which.
    if (e.code() != ErrorCode::connectionFailed) throw;
  }
  if (!answer) {
    for (Fate& fate : window.fates) {
      if (fate == Fate::open) fate = Fate::silent;
    }
    window.open = 0;
    window.odd = window.unknown = true;
    return;
  }
  const std::string_view subject = natsMsg_GetSubject(answer.get());
  std::uint64_t token = 0;
  std::from_chars(subject.data() + inbox_.size() + 1, subject.data() + subject.size(), token);
  if (token < window.firstToken || token - window.firstToken >= window.fates.size()) return;  // of an earlier try
  const std::size_t at = static_cast<std::size_t>(token - window.firstToken);
  Fate& fate = window.fates[at];
  if (fate != Fate::open) return;
  window.answered(at);
  const PublishAck ack = parseAck(bodyOf(answer.get()));
  Place& place = window.places[window.done + at];
  if (ack.sequence == 0) {
    fate = Fate::refused;
    window.odd = true;
    window.outrun = window.outrun || ack.error.errorCode == kWrongLastSequence;
    const bool passing =
        ack.error.errorCode == kWrongLastSequence || ack.error.errorCode == kWrongLastId || isPassing(ack.error);
    if (!passing && window.refusal.errorCode == 0) window.refusal = ack.error;
    return;
  }
  fate = Fate::stored;
  if (ack.duplicate || ack.sequence != place.sequence) window.odd = true;
  place = {ack.sequence, ack.duplicate};
  // Each expects the one before it: those are there as well, though nobody said so.
  if (ack.duplicate || window.order != Order::chained) return;
  for (std::size_t i = 0; i < at; ++i) {
    if (window.fates[i] == Fate::silent || window.fates[i] == Fate::open) {
      if (window.fates[i] == Fate::open) window.answered(i);
      window.fates[i] = Fate::stored;
    }
  }
}

/// Waits for the answers that are still to come.
void FencedLog::drain(Window& window) {
  while (window.open > 0) receive(window);
}

/// Moves `done` over what is known to be stored.
void FencedLog::settle(Window& window) {
  while (!window.fates.empty() && window.fates.front() == Fate::stored) {
    const Place& place = window.places[window.done];
    if (!place.duplicate) last_ = place.sequence;
    window.fates.pop_front();
    ++window.firstToken;
    ++window.done;
    window.progress = connection_.clock().steadyNow();
    window.tries = 0;
  }
}

void FencedLog::resync(Window& window, const std::stop_token& stop) {
  // Duplicates take no place of their own, so what follows one may be there out of turn only as a duplicate too.
  for (const Fate fate : window.fates) window.unknown = window.unknown || fate == Fate::silent;
  const bool all = window.done == window.messages.size();
  // The first message of all was refused, so it is not there, and what is there is not ours: no need to look.
  const bool plain = window.order == Order::single && window.outrun && !window.unknown && window.done == 0;
  if (plain && window.tries == 0 && !options_.isStray) throw ForeignWrite{last_ + 1, {}};
  if (!all) {
    try {
      adopt(window, js_.info(stream_, stop), stop);
      adoptRepeated(window, stop);
    } catch (const Error& e) {
      if (e.code() != ErrorCode::connectionFailed) throw;
      throw Error(e.code(), window.unknown || window.done > 0 ? Retry::outcomeUnknown : Retry::later, e.message());
    }
  }
  window.sent = window.done;
  window.places.resize(window.done);
  window.fates.clear();
  window.open = window.openBytes = 0;
  window.firstToken = token_;
  window.odd = false;
  if (window.done == window.messages.size()) return;
  if (window.tries++ == 0) return;
  if (connection_.waitForRetry(window.progress, window.tries, stop)) return;
  throw Error(
      ErrorCode::connectionFailed, window.unknown || window.done > 0 ? Retry::outcomeUnknown : Retry::later,
      fmt::format("nats: appending to stream \"{}\" does not get on: its leader refuses or does not answer", stream_));
}

/// Looks at what was written after the last message that is known.
void FencedLog::adopt(Window& window, const StreamInfo& info, const std::stop_token& stop) {
  while (last_ < info.lastSequence) {
    const auto stored = js_.get(stream_, last_ + 1, stop);
    const std::string mark(stored ? stored->header(kMarkHeader) : std::string_view());
    const bool ours = stored && window.done < window.messages.size() && mark == window.messages[window.done].mark;
    if (!ours && stored && options_.isStray && options_.isStray(mark)) {
      last_ = stored->sequence;
      continue;
    }
    if (!ours) throw ForeignWrite{last_ + 1, mark};
    last_ = stored->sequence;
    if (window.places.size() == window.done) window.places.push_back({});
    window.places[window.done++] = {last_, false};
    window.progress = connection_.clock().steadyNow();
  }
}

/// A repeated message is known by its id. nats-server 2.15 compares the number that it expects before the id (2.9
/// and 2.10 do not), and repeated ones take no number: of many under way it would know one in each round. But those
/// that follow each other here mostly do so in the stream.
void FencedLog::adoptRepeated(Window& window, const std::stop_token& stop) {
  for (int i = 0; i < kMostRepeated && window.outrun && window.done > 0; ++i) {
    if (window.done == window.messages.size()) return;
    const Place before = window.places[window.done - 1];
    const std::string& id = window.messages[window.done].id;
    if (!before.duplicate || id.empty()) return;
    const auto stored = js_.get(stream_, before.sequence + 1, stop);
    if (!stored || stored->header(kIdHeader) != id) return;
    if (window.places.size() == window.done) window.places.push_back({});
    window.places[window.done++] = {before.sequence + 1, true};
    window.progress = connection_.clock().steadyNow();
  }
}

}  // namespace tidegate::nats::detail
