#include "electric/detail/source_run.h"

#include <algorithm>

namespace tidegate::electric::reading {
namespace {

using std::chrono::milliseconds;

/// So that a clock that is not the system's is looked at, whatever it says.
constexpr milliseconds kLongestWait{500};
/// Between two offers of a batch for which there is no room.
constexpr milliseconds kOfferAgain{1};

}  // namespace

SourceRun::SourceRun(RunParts parts, RunTask task, const ChangeHandler& handler, std::stop_token stop)
    : parts_(std::move(parts)),
      task_(std::move(task)),
      handler_(handler),
      stop_(std::move(stop)),
      merge_(parts_.options, task_.from),
      allTold_(parts_.clock.steadyNow()) {
  std::vector<const SourceShape*> shapes = task_.shapes;
  std::sort(shapes.begin(), shapes.end(),
            [](const SourceShape* a, const SourceShape* b) { return nameOf(*a) < nameOf(*b); });
  for (const SourceShape* shape : shapes) {
    auto reader = std::make_unique<ShapeReader>(ShapeReader::Parts{.shape = *shape,
                                                                   .options = parts_.options,
                                                                   .clock = parts_.clock,
                                                                   .epochs = parts_.epochs,
                                                                   .newestLsn = merge_.newestLsn(),
                                                                   .openLsn = merge_.openLsn(),
                                                                   .warn = parts_.warn,
                                                                   .seed = parts_.seed});
    const auto told = task_.told.find(nameOf(*shape));
    reader->start(task_.from.shapes.at(nameOf(*shape)), told == task_.told.end() ? nullptr : told->second,
                  task_.mayRefetch.contains(nameOf(*shape)));
    if (task_.baseline) reader->stopAtLive();
    merge_.add(*reader);
    readers_.push_back(std::move(reader));
  }
}

/// The client goes on living: what it still hears for us must not reach us, and its connections are let go.
SourceRun::~SourceRun() {
  for (const auto& exchange : exchanges_) exchange->forget(parts_.client);
  try {
    parts_.client.run(milliseconds(0));
  } catch (const std::exception&) {
    // They end with the client.
  }
}

std::map<std::string, Shape> SourceRun::shapes() const {
  std::map<std::string, Shape> known;
  for (const auto& reader : readers_) {
    if (const Shape shape = reader->rowShape()) known[reader->name()] = shape;
  }
  return known;
}

bool SourceRun::run() {
  for (;;) {
    if (stop_.stop_requested()) return false;
    needReadable();
    showState();
    if (!waitWhilePaused()) return false;
    endForgotten();
    merge_.fill(batch_, parts_.options.batchEvents, parts_.clock.steadyNow());
    startRequests();
    showLag();
    if (!batch_.empty()) {
      if (!offer()) return false;
    } else if (baselineDone()) {
      return true;
    } else {
      wait();
    }
  }
}

void SourceRun::needReadable() const {
  for (const auto& reader : readers_) {
    if (reader->fatal() != nullptr) throw Error(*reader->fatal());
  }
}

void SourceRun::showState() {
  if (parts_.state == nullptr) return;
  SourceStateMachine& state = *parts_.state;
  const auto failing =
      std::find_if(readers_.begin(), readers_.end(), [](const auto& reader) { return reader->failing() != nullptr; });
  if (failing != readers_.end()) {
    state.to(SourceState::reconnecting, (*failing)->failing()->message());
    return;
  }
  if (state.state() == SourceState::reconnecting) state.to(SourceState::connected, "the server answers again");
  if (state.state() != steadyState()) state.to(steadyState(), task_.baseline ? "reading a baseline" : "streaming");
}

bool SourceRun::waitWhilePaused() {
  if (parts_.paused == nullptr || !*parts_.paused) return !stop_.stop_requested();
  if (parts_.state != nullptr) parts_.state->to(SourceState::paused, "paused");
  while (*parts_.paused && !stop_.stop_requested()) {
    endForgotten();
    wait();
  }
  if (stop_.stop_requested()) return false;
  if (parts_.state != nullptr) parts_.state->to(steadyState(), "resumed");
  return true;
}

/// The same batch until it is taken. What comes meanwhile is received.
bool SourceRun::offer() {
  for (;;) {
    if (!waitWhilePaused()) return false;
    Taken answer = Taken::full;
    try {
      answer = handler_(batch_);
    } catch (...) {
      throw ReaderFailed{std::current_exception()};
    }
    if (answer == Taken::yes) break;
    if (stop_.stop_requested()) return false;
    parts_.client.run(kOfferAgain, stop_);
    showLag();
  }
  batch_.clear();
  if (parts_.onTold) parts_.onTold(merge_.places());
  showLag();
  return true;
}

/// In a baseline shapes are read one after the other.
ShapeReader* SourceRun::activeReader() const {
  const auto next = std::find_if(readers_.begin(), readers_.end(), [](const auto& reader) { return !reader->live(); });
  return next == readers_.end() ? nullptr : next->get();
}

bool SourceRun::baselineDone() const {
  return task_.baseline && activeReader() == nullptr &&
         std::all_of(readers_.begin(), readers_.end(), [](const auto& reader) { return reader->items().empty(); });
}

void SourceRun::endForgotten() {
  for (auto at = exchanges_.begin(); at != exchanges_.end();) {
    if ((*at)->isUnwanted()) (*at)->forget(parts_.client);
    at = (*at)->done() ? exchanges_.erase(at) : std::next(at);
  }
}

void SourceRun::startRequests() {
  const Clock::Micros now = parts_.clock.steadyNow();
  const ShapeReader* only = task_.baseline ? activeReader() : nullptr;
  for (const auto& reader : readers_) {
    if (task_.baseline && reader.get() != only) continue;
    if (auto request = reader->nextRequest(now)) start(*reader, *std::move(request));
  }
  for (ShapeReader* reader : merge_.waitedFor()) {
    if (reader->canProbe(now)) start(*reader, reader->probe(now));
  }
}

void SourceRun::start(ShapeReader& reader, ReadRequest request) {
  http::Headers headers = parts_.options.headers;
  try {
    if (parts_.options.auth) {
      for (const auto& [name, value] : parts_.options.auth()) headers.set(name, value);
    }
    const auto exchange = std::make_shared<Exchange>(reader, request);
    exchange->start(parts_.client, parts_.options, std::move(headers));
    exchanges_.push_back(exchange);
  } catch (const std::exception& e) {
    reader.onFailure(request, Error(ErrorCode::authenticationFailed, Retry::later,
                                    std::string("the request could not be made: ") + redactSecrets(e.what())));
  }
}

void SourceRun::showLag() {
  if (!parts_.onLag) return;
  std::int64_t newest = merge_.newestLsn();
  bool waiting = !batch_.empty();
  std::size_t queued = batch_.size();
  for (const auto& reader : readers_) {
    newest = std::max(newest, reader->seenLsn());
    if (!reader->items().empty()) newest = std::max(newest, reader->items().back().lsn);
    queued += reader->items().size();
    waiting = waiting || !reader->items().empty() || !reader->live();
  }
  if (!waiting) allTold_ = parts_.clock.steadyNow();
  const std::int64_t told = batch_.empty() ? merge_.toldLsn() : merge_.toldLsn() - 1;
  const std::uint64_t bytes = newest > told ? static_cast<std::uint64_t>(newest - told) : queued;
  parts_.onLag({.known = true, .waiting = waiting, .bytes = waiting ? bytes : 0, .since = allTold_});
}

milliseconds SourceRun::pause() const {
  const Clock::Micros now = parts_.clock.steadyNow();
  Clock::Micros until = now + kLongestWait;
  const ShapeReader* only = task_.baseline ? activeReader() : nullptr;
  for (const auto& reader : readers_) {
    if (task_.baseline && reader.get() != only) continue;
    if (const auto due = reader->due()) until = std::min(until, *due);
  }
  if (const auto due = merge_.due()) until = std::min(until, std::max(*due, now + milliseconds(5)));
  return std::chrono::ceil<milliseconds>(std::max(until - now, Clock::Micros(0)));
}

/// Until something comes, is due, or somebody wakes the client. Where nothing can come, time passes as the host has it.
void SourceRun::wait() {
  const milliseconds longest = pause();
  if (parts_.client.running() > 0) {
    parts_.client.run(longest, stop_);
  } else if (longest.count() > 0) {
    parts_.scheduler.waitFor(std::min(longest, milliseconds(100)), stop_);
  }
}

}  // namespace tidegate::electric::reading
