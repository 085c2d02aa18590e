#include "nats/detail/unit_reader.h"

#include <fmt/format.h>

namespace tidegate::nats::detail {
namespace {

constexpr std::chrono::milliseconds kNoWait{0};
/// The rest of a unit that is in the stream for certain.
constexpr std::chrono::milliseconds kSecondReading{1'000};
constexpr std::size_t kMostWholeBytes = 1u << 30;

bool isControl(std::string_view op) { return op == kClaim || op == kCommit; }

}  // namespace

std::optional<std::string_view> PartJoiner::take(natsMsg* msg, std::string_view where) {
  PartOf part;
  if (!partFrom(headerOf(msg, kPartHeader), part)) {
    throw Error(ErrorCode::parseError, Retry::never, fmt::format("{}: {} is malformed", where, kPartHeader));
  }
  if (part.count == 1) return bodyOf(msg);
  if (part.number == 1) {
    whole_.clear();
    next_ = 1;
  }
  if (part.number != next_ || whole_.size() > kMostWholeBytes) {
    throw Error(ErrorCode::parseError, Retry::never,
                fmt::format("{}: part {} where {} should follow", where, part.number, next_));
  }
  whole_ += bodyOf(msg);
  ++next_;
  if (part.number < part.count) return std::nullopt;
  next_ = 1;
  return whole_;
}

UnitReader::UnitReader(JetStream& js, std::string stream, std::uint64_t after, Options options)
    : js_(js), stream_(std::move(stream)), options_(options), log_(js, stream_, after, options.log), begin_(after) {}

bool UnitReader::read(std::chrono::milliseconds wait, const Visitor& visitor, const std::stop_token& stop) {
  Msg msg = log_.next(wait);
  for (; msg && !stop.stop_requested(); msg = log_.next(kNoWait)) {
    const std::uint64_t sequence = log_.sequence();
    if (!isControl(headerOf(msg.get(), kOpHeader))) {
      hold(std::move(msg), sequence);
      continue;
    }
    if (!takeControl(msg.get(), sequence, visitor, stop)) return false;
    return true;
  }
  return true;
}

void UnitReader::hold(Msg msg, std::uint64_t sequence) {
  heldBytes_ += static_cast<std::size_t>(natsMsg_GetDataLength(msg.get()));
  if (overflown_) return;
  held_.push_back({sequence, std::move(msg)});
  if (heldBytes_ <= options_.bufferBytes) return;
  held_.clear();
  overflown_ = true;
}

void UnitReader::forget() {
  held_.clear();
  heldBytes_ = 0;
  overflown_ = false;
}

bool UnitReader::takeControl(natsMsg* msg, std::uint64_t sequence, const Visitor& visitor,
                             const std::stop_token& stop) {
  const std::string where = fmt::format("stream \"{}\", message {}", stream_, sequence);
  std::optional<std::string_view> body;
  // A writer that died in the middle of its record leaves parts behind, and the next one begins anew.
  PartOf part;
  const bool fits = partFrom(headerOf(msg, kPartHeader), part);
  if (!fits || part.number > 1 || part.count > 1) {
    body = controlParts_.take(msg, where);
    if (!body) return true;
  } else {
    body = bodyOf(msg);
  }
  const ControlRecord record = controlFrom(*body);
  learnShapes(record, sequence, stop);
  if (record.claim) {
    // What was written since the last commit may still count: a later commit says so.
    return true;
  }
  const bool told = overflown_ ? tellAgain(record, visitor, stop) : tellHeld(record, visitor);
  forget();
  if (!told) return false;
  begin_ = sequence;
  return visitor.unit(record, sequence);
}

void UnitReader::learnShapes(const ControlRecord& record, std::uint64_t sequence, const std::stop_token& stop) {
  if (record.shapesAt == 0) {
    for (const auto& [name, shape] : record.shapes) shapes_[name] = shape;
    shapesAt_ = sequence;
    return;
  }
  if (record.shapesAt == shapesAt_) return;
  const auto full = controlAt(js_, stream_, record.shapesAt, stop);
  if (!full) {
    throw Error(
        ErrorCode::positionLost, Retry::afterOperator,
        fmt::format("stream \"{}\" no longer has the shapes of its tables (message {}). Take a new baseline, and "
                    "let the stream keep more",
                    stream_, record.shapesAt));
  }
  for (const auto& [name, shape] : full->shapes) shapes_[name] = shape;
  shapesAt_ = record.shapesAt;
}

bool UnitReader::tellHeld(const ControlRecord& record, const Visitor& visitor) {
  auto run = record.runs.begin();
  for (const Held& held : held_) {
    while (run != record.runs.end() && run->second < held.sequence) ++run;
    if (run == record.runs.end()) break;
    if (held.sequence >= run->first && !tell(held.msg.get(), held.sequence, visitor)) return false;
  }
  return true;
}

bool UnitReader::tellAgain(const ControlRecord& record, const Visitor& visitor, const std::stop_token& stop) {
  for (const auto& [first, last] : record.runs) {
    const std::uint64_t after = std::max(first - 1, begin_);
    if (after >= last) continue;
    LogReader again(js_, stream_, after, options_.log);
    while (again.sequence() < last) {
      if (stop.stop_requested()) return false;
      const Msg msg = again.next(kSecondReading);
      if (msg && !tell(msg.get(), again.sequence(), visitor)) return false;
    }
  }
  return true;
}

bool UnitReader::tell(natsMsg* msg, std::uint64_t sequence, const Visitor& visitor) {
  const std::string where = fmt::format("stream \"{}\", message {}", stream_, sequence);
  const auto body = eventParts_.take(msg, where);
  if (!body) return true;
  const EventHeaders headers{.op = headerOf(msg, kOpHeader),
                             .hlc = headerOf(msg, kHlcHeader),
                             .shape = headerOf(msg, kShapeHeader),
                             .transaction = headerOf(msg, kTransactionHeader)};
  const auto shapeOf = [&](std::string_view name) {
    const auto found = shapes_.find(name);
    if (found != shapes_.end()) return found->second;
    throw Error(ErrorCode::parseError, Retry::never, fmt::format("no shape is named \"{}\"", name));
  };
  ChangeEvent event;
  try {
    event = eventFrom(headers, *body, shapeOf);
  } catch (const Error& e) {
    throw Error(ErrorCode::parseError, Retry::afterOperator, fmt::format("{}: {}", where, e.message()));
  }
  return visitor.event(event, sequence);
}

}  // namespace tidegate::nats::detail
