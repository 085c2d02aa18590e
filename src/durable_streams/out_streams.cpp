#include "durable_streams/detail/out_streams.h"

#include <fmt/format.h>

namespace tidegate::durable_streams::detail {

void OutStreams::prepare(const std::string& stream, std::stop_token stop) {
  stop_ = std::move(stop);
  const auto [at, added] = streams_.try_emplace(stream);
  if (added) at->second.fresh = log_.create(stream, stop_);
}

OutStreams::Out& OutStreams::out(const std::string& table, const std::string& stream) {
  if (!streams_.contains(stream)) prepare(stream, stop_);
  const std::pair<std::string, std::string> pair(table, stream);
  if (!journal_.known().contains(pair)) added_.insert(pair);
  return streams_[stream];
}

void OutStreams::write(const std::string& table, const std::string& stream, ChangeMessage message) {
  Out& to = out(table, stream);
  if (to.held) {
    release(stream, to, false);
  } else {
    inTransaction_.push_back(stream);
  }
  if (to.view) to.view->take(message);
  to.held = std::move(message);
}

void OutStreams::write(const std::string& table, const std::string& stream, const ControlMessage& message) {
  Out& to = out(table, stream);
  // A control stands between transactions: what came before it in this one is a transaction of its own.
  if (to.held) {
    release(stream, to, true);
    std::erase(inTransaction_, stream);
  }
  if (to.view) to.view->take(message);
  std::string text;
  appendStateMessage(message, text);
  push(stream, to, std::move(text));
}

void OutStreams::release(const std::string& stream, Out& to, bool ends) {
  ChangeMessage message = std::move(*to.held);
  to.held.reset();
  if (!ends || to.several) message.last = ends;
  to.several = !ends;
  std::string text;
  appendStateMessage(message, text);
  push(stream, to, std::move(text));
}

void OutStreams::endTransaction() {
  for (const std::string& stream : std::exchange(inTransaction_, {})) {
    Out& to = streams_[stream];
    if (to.held) release(stream, to, true);
  }
}

void OutStreams::push(const std::string& stream, Out& to, std::string message) {
  to.written = true;
  to.pendingBytes += message.size();
  pendingBytes_ += message.size();
  to.pending.push_back(std::move(message));
  spillIfFull(stream, to);
}

void OutStreams::spillIfFull(const std::string& stream, Out& to) {
  const auto spill = [this](const std::string& name, Out& from) {
    pendingBytes_ -= std::exchange(from.pendingBytes, 0);
    journal_.spill(name, std::exchange(from.pending, {}));
  };
  if (to.pendingBytes >= limits_.batchBytes) return spill(stream, to);
  if (pendingBytes_ < limits_.pendingBytes) return;
  for (auto& [name, from] : streams_) {
    if (!from.pending.empty()) spill(name, from);
  }
}

const EntityView& OutStreams::view(const std::string& stream) {
  if (!streams_.contains(stream)) prepare(stream, stop_);
  Out& of = streams_[stream];
  if (!of.view) readBack(stream, of);
  return *of.view;
}

void OutStreams::readBack(const std::string& stream, Out& of) {
  auto view = std::make_unique<EntityView>();
  const auto take = [&](std::string_view message) {
    view->take(message);
    if (view->bytes() <= limits_.readBackBytes) return;
    throw Error(
        ErrorCode::invalidConfig, Retry::afterOperator,
        fmt::format("stream \"{}\" holds more than readBackBytes ({} octets) of rows, which had to be read back "
                    "for the end of a baseline or for an update without all columns: raise readBackBytes, or "
                    "let the source send whole rows (Postgres: ALTER TABLE … REPLICA IDENTITY FULL)",
                    stream, limits_.readBackBytes));
  };
  if (!of.fresh || of.written) log_.read(stream, {}, take, stop_);
  journal_.unitMessages(stream, take);
  for (const std::string& message : of.pending) take(message);
  if (of.held) view->take(*of.held);
  of.view = std::move(view);
}

bool OutStreams::untouched(const std::string& stream) const {
  const auto at = streams_.find(stream);
  return at != streams_.end() && at->second.fresh && !at->second.written && !at->second.held;
}

std::vector<std::string> OutStreams::streamsOf(const std::string& table) const {
  std::vector<std::string> found;
  for (const auto* set : {&journal_.known(), &added_}) {
    for (auto at = set->lower_bound({table, ""}); at != set->end() && at->first == table; ++at) {
      found.push_back(at->second);
    }
  }
  return found;
}

void OutStreams::commit(std::string_view checkpoint) {
  endTransaction();
  std::vector<std::pair<std::string, std::vector<std::string>>> last;
  for (auto& [name, from] : streams_) {
    from.pendingBytes = 0;
    if (!from.pending.empty()) last.emplace_back(name, std::exchange(from.pending, {}));
  }
  pendingBytes_ = 0;
  journal_.commit(checkpoint, std::move(last), std::exchange(added_, {}));
}

void OutStreams::undo() noexcept {
  journal_.abandon();
  for (auto& [name, from] : streams_) {
    from.pending.clear();
    from.pendingBytes = 0;
    from.held.reset();
    from.several = false;
    from.view.reset();
  }
  inTransaction_.clear();
  added_.clear();
  pendingBytes_ = 0;
}

}  // namespace tidegate::durable_streams::detail
