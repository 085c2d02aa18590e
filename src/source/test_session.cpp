#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "source/detail/test_source_impl.h"

/// How a TestSource delivers, and where its defects are.
namespace tidegate {

using detail::TestCommit;

TestSource::Impl::Place TestSource::Impl::deliveredPlace() const {
  const std::lock_guard lock(mutex);
  return deliveredTo.value_or(Place{0, 0});
}

SourceLag TestSource::Impl::trueLag() const {
  std::optional<Place> at;
  Position retained;
  std::int64_t micros = 0;
  {
    const std::lock_guard lock(mutex);
    at = deliveredTo;
    retained = acked;
    micros = deliveredMicros;
  }
  const Place place = at.value_or(Place{});
  const std::int64_t waiting = log.nextCommitMicros(place);
  SourceLag lag;
  lag.bytes = log.bytesAfter(place);
  const std::int64_t since = waiting == 0 ? now().count() : micros != 0 ? micros : waiting;
  lag.time = std::chrono::milliseconds(std::max<std::int64_t>(0, (now().count() - since) / 1000));
  lag.retainedBytes = log.bytesAfter(detail::placeOf(retained).value_or(Place{}));
  return lag;
}

void TestSource::Impl::failIfScripted(TestCall call) {
  const std::lock_guard lock(mutex);
  const auto at = failingCalls.find(call);
  if (at == failingCalls.end() || at->second.left == 0) return;
  --at->second.left;
  throw Error(at->second.error);
}

void TestSource::Impl::connect() {
  if (state.state() == SourceState::closed) {
    throw Error(ErrorCode::stopped, Retry::never, "the source was closed: make another one");
  }
  if (state.state() == SourceState::connected) return;
  if (state.state() == SourceState::error) state.to(SourceState::connecting, "trying again");
  failIfScripted(TestCall::connect);
  connects.fetch_add(1);
  state.to(SourceState::connected, "connected");
}

void TestSource::Impl::checkConnection() {
  if (broken.load()) throw Error(ErrorCode::connectionFailed, Retry::later, "the connection broke, as scripted");
}

void TestSource::Impl::checkAcknowledged() {
  const std::lock_guard lock(mutex);
  const auto known = detail::placeOf(acked);
  if (!options.forgetsAcknowledged || !known || read >= *known) return;
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              fmt::format("{} was acknowledged and so forgotten, {} is gone: take a new baseline",
                          detail::textOf(*known), detail::textOf(read)));
}

bool TestSource::Impl::waitWhilePaused(SourceState back, std::stop_token stop) {
  if (!paused.load()) return !stop.stop_requested();
  state.to(SourceState::paused, "paused");
  for (;;) {
    const std::uint64_t seen = log.version();
    if (!paused.load()) break;
    if (stop.stop_requested()) return false;
    checkConnection();
    if (!options.onIdle) {
      log.waitForChange(seen, stop);
    } else if (!options.onIdle()) {
      return false;
    }
  }
  if (has(TestDefect::losesWhilePaused) && back == SourceState::streaming) read = log.end();
  state.to(back, "resumed");
  return !stop.stop_requested();
}

bool TestSource::Impl::offer(ChangeBatch& batch, const ChangeHandler& handler, SourceState back, std::stop_token stop) {
  const std::size_t events = batch.size();
  const Position last = batch.back().position;
  const std::int64_t micros = batch.back().commitMicros;
  for (;;) {
    if (!waitWhilePaused(back, stop)) return false;
    checkConnection();
    Taken result = Taken::yes;
    try {
      result = handler(batch);
    } catch (...) {
      if (has(TestDefect::swallowsException)) return true;
      throw ReaderFailed{std::current_exception()};
    }
    if (result == Taken::yes) break;
    declined.fetch_add(1);
    if (has(TestDefect::losesWhenFull)) return true;
    if (has(TestDefect::repeatsWhenFull) && batch.size() == events) {
      ChangeBatch twice;
      twice.add(batch[0].op, batch[0].shape) = batch[0];
      for (const ChangeEvent& event : batch) twice.add(event.op, event.shape) = event;
      batch.swap(twice);
    }
  }
  delivered.fetch_add(events);
  std::optional<Error> failure;
  {
    const std::lock_guard lock(mutex);
    if (back == SourceState::streaming) {
      deliveredTo = detail::placeOf(last).value_or(read);
      if (micros != 0) deliveredMicros = micros;
    }
    if (failingEvent) {
      failingEvent->left -= std::min<std::uint64_t>(failingEvent->left, events);
      if (failingEvent->left == 0) failure = failingEvent->error;
      if (failure) failingEvent.reset();
    }
  }
  wake();
  if (failure) throw Error(*failure);
  return true;
}

Position TestSource::Impl::readBaseline(const std::vector<std::string>& tables, const ChangeHandler& handler,
                                        std::stop_token stop) {
  Place at;
  std::vector<detail::TestPicture> pictures = log.pictures(tables, at);
  const Position position = detail::positionOf(at);
  const std::int64_t micros = now().count();
  ChangeBatch batch;
  const auto flush = [&] {
    if (batch.empty()) return;
    if (!offer(batch, handler, SourceState::connected, stop)) {
      throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
    }
    batch.clear();
    if (options.onBaselineBatch) options.onBaselineBatch();
  };
  const auto add = [&](ChangeOp op, const Shape& shape) -> ChangeEvent& {
    if (batch.size() >= allowance()) flush();
    ChangeEvent& event = batch.add(op, shape);
    event.transactionBegin = event.transactionEnd = true;
    if (!has(TestDefect::noPositions)) event.position = position;
    event.commitMicros = micros;
    return event;
  };
  if (stop.stop_requested()) {
    throw Error(ErrorCode::queryCancelled, Retry::later, "the baseline was stopped; take a new one");
  }
  for (detail::TestPicture& picture : pictures) {
    add(ChangeOp::baselineBegin, picture.shape);
    for (std::vector<Value>& row : picture.rows) add(ChangeOp::read, picture.shape).after.swap(row);
    add(ChangeOp::baselineEnd, picture.shape);
  }
  flush();
  return position;
}

std::size_t TestSource::Impl::allowance() const {
  const std::lock_guard lock(mutex);
  std::size_t most = std::max<std::size_t>(options.batchEvents, 1);
  if (failingEvent) most = std::min<std::size_t>(most, std::max<std::uint64_t>(failingEvent->left, 1));
  return most;
}

void TestSource::Impl::addCommit(const TestCommit& commit, const std::set<std::string>& tables, std::size_t most,
                                 ChangeBatch& batch) {
  const auto wanted = [&](const ChangeEvent& e) { return tables.contains(e.shape->schema.table); };
  const std::vector<ChangeEvent>& events = commit.events;
  const auto first = std::find_if(events.begin(), events.end(), wanted);
  const auto last = std::find_if(events.rbegin(), events.rend(), wanted).base();  // one past it
  const Place after{commit.number + 1, 0};
  const auto count = static_cast<std::uint32_t>(last - events.begin());
  for (std::uint32_t i = read.ordinal; i < count; ++i) {
    const ChangeEvent& event = events[i];
    if (!wanted(event)) continue;
    if (batch.size() == most) return;
    const bool ends = i + 1 == count;
    read = ends ? after : Place{commit.number, i + 1};
    ChangeEvent& out = batch.add(event.op, event.shape);
    out = event;
    out.transactionBegin = &event == &*first;
    out.transactionEnd = ends && !has(TestDefect::noTransactionEnd);
    if (!has(TestDefect::noPositions)) out.position = detail::positionOf(has(TestDefect::samePositions) ? after : read);
    out.commitMicros = commit.micros;
    out.transactionId = commit.number;
    emitted = read;
  }
  read = after;
}

bool TestSource::Impl::fill(const std::set<std::string>& tables, ChangeBatch& batch) {
  const std::size_t most = allowance();
  while (batch.size() < most) {
    const auto commit = log.read(read.number);
    if (!commit) break;
    const auto next = has(TestDefect::swapsTransactions) ? log.read(read.number + 1) : nullptr;
    if (next && read.ordinal == 0 && batch.empty()) {
      read = {next->number, 0};
      addCommit(*next, tables, SIZE_MAX, batch);
      read = {commit->number, 0};
      addCommit(*commit, tables, SIZE_MAX, batch);
      read = {next->number + 1, 0};
      break;
    }
    addCommit(*commit, tables, most, batch);
  }
  if (batch.empty() && read > emitted) {
    ChangeEvent& progress = batch.add(ChangeOp::progress, nullptr);
    progress.transactionBegin = progress.transactionEnd = true;
    progress.position = detail::positionOf(read);
    emitted = read;
  }
  return !batch.empty();
}

void TestSource::Impl::rewind() {
  const Place to = deliveredPlace();
  if (has(TestDefect::losesOnDisconnect)) return;
  read = emitted = to;
  if (has(TestDefect::repeatsOnDisconnect)) {
    read.number -= to.ordinal == 0 && to.number > 1 ? 1 : 0;
    read.ordinal = 0;
  }
}

void TestSource::Impl::session(const std::set<std::string>& tables, const ChangeHandler& handler,
                               std::stop_token stop) {
  ChangeBatch batch;
  checkConnection();
  checkAcknowledged();
  if (!paused.load() && !stop.stop_requested()) state.to(SourceState::streaming, "streaming");
  while (waitWhilePaused(SourceState::streaming, stop)) {
    const std::uint64_t seen = log.version();
    checkConnection();
    {
      const std::lock_guard lock(mutex);
      if (redeliver) read = emitted = *(deliveredTo = redeliver);
      redeliver.reset();
    }
    batch.clear();
    if (!fill(tables, batch)) {
      if (!options.onIdle) {
        log.waitForChange(seen, stop);
      } else if (!options.onIdle()) {
        return;
      }
      continue;
    }
    if (options.delay.count() > 0 && !scheduler->waitFor(options.delay, stop)) return;
    if (!offer(batch, handler, SourceState::streaming, stop)) return;
    backoff.reset();
  }
}

}  // namespace tidegate
