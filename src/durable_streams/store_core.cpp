#include "durable_streams/detail/store_core.h"

#include <algorithm>

namespace tidegate::durable_streams::detail {

void Aftermath::run() {
  for (auto& [done, result] : answers) {
    if (done) done(result);
  }
  for (const auto& watcher : watchers) watcher->call();
}

StoreCore::StoreCore(StoreCoreOptions options, Journal* journal)
    : clock_(options.clock != nullptr ? *options.clock : systemClock()), options_(options), journal_(journal) {}

Stream* StoreCore::find(std::string_view path, Clock::Micros now, Aftermath& aftermath) {
  const auto at = byPath_.find(path);
  if (at == byPath_.end()) return nullptr;
  Stream* stream = at->second;
  if (!stream->deleted && expired(*stream, now)) {
    if (!failure_.empty()) return nullptr;
    dropStream(*stream, aftermath);
    const auto again = byPath_.find(path);
    return again == byPath_.end() ? nullptr : again->second;
  }
  return stream;
}

std::optional<Clock::Micros> StoreCore::deadlineOf(const Stream& stream) const {
  // Longer than any process lives, and short enough to add to a time.
  constexpr std::chrono::hours kForEver(24 * 365 * 1'000);
  if (!stream.expiresAt.empty()) return stream.expiresAtTime;
  if (stream.ttl && *stream.ttl < kForEver) return stream.accessed + *stream.ttl;
  return std::nullopt;
}

bool StoreCore::expired(const Stream& stream, Clock::Micros now) const {
  const auto deadline = deadlineOf(stream);
  return deadline && now >= *deadline && (stream.watchers.empty() || !stream.expiresAt.empty());
}

void StoreCore::watchDeadline(const Stream& stream) {
  if (const auto deadline = deadlineOf(stream)) deadlines_.push({*deadline, stream.id});
}

std::size_t StoreCore::sweep() {
  Aftermath aftermath;
  std::size_t removed = 0;
  {
    const std::lock_guard guard(mutex_);
    const Clock::Micros now = clock_.wallNow();
    std::vector<Deadline> later;
    while (!deadlines_.empty() && deadlines_.top().at <= now && failure_.empty()) {
      const Deadline due = deadlines_.top();
      deadlines_.pop();
      const auto at = streams_.find(due.stream);
      if (at == streams_.end() || at->second->deleted) continue;
      Stream& stream = *at->second;
      if (expired(stream, now)) {
        dropStream(stream, aftermath);
        ++removed;
      } else {
        // Watched or read since: asked again when its window ends, at the earliest in a second.
        later.push_back({std::max(*deadlineOf(stream), now + std::chrono::seconds(1)), due.stream});
      }
    }
    for (const Deadline& deadline : later) deadlines_.push(deadline);
  }
  aftermath.run();
  return removed;
}

void StoreCore::pending() {
  if (onPending_) onPending_();
}

void StoreCore::dropStream(Stream& stream, Aftermath& aftermath) {
  if (stream.forks > 0) {
    stream.deleted = true;
    if (journal_ != nullptr) journal_->putSoftDelete(stream.id);
    tellWatchers(stream, aftermath);
  } else {
    erase(stream, aftermath);
  }
  if (journal_ != nullptr) pending();
}

void StoreCore::erase(Stream& stream, Aftermath& aftermath) {
  Stream* doomed = &stream;
  while (doomed != nullptr) {
    Stream* source = doomed->source;
    if (journal_ != nullptr) {
      journal_->putRemove(doomed->id);
      journal_->release(*doomed);
    }
    tellWatchers(*doomed, aftermath);
    for (const auto& watcher : doomed->watchers) watched_.erase(watcher->id);
    cachedBytes_ -= options_.cacheBytes > 0 ? doomed->content.memory() : 0;
    byPath_.erase(byPath_.find(doomed->path));
    streams_.erase(doomed->id);
    // A source that was deleted before goes with the last of its forks, and so on up.
    doomed = source != nullptr && --source->forks == 0 && source->deleted ? source : nullptr;
  }
}

void StoreCore::tellWatchers(Stream& stream, Aftermath& aftermath) {
  aftermath.watchers.insert(aftermath.watchers.end(), stream.watchers.begin(), stream.watchers.end());
}

void StoreCore::makeVisible(Stream& stream, Position tail, bool closed, Aftermath& aftermath) {
  const bool news = !stream.visible || stream.visibleTail != tail || stream.visibleClosed != closed;
  stream.visible = true;
  stream.visibleTail = tail;
  stream.visibleClosed = closed;
  if (news) tellWatchers(stream, aftermath);
}

bool StoreCore::refused(StreamDone& done, Aftermath& aftermath) {
  StreamResult result;
  if (!failure_.empty()) {
    result.verdict = Verdict::unavailable;
    result.message = failure_;
  } else if (journal_ != nullptr && journal_->pendingBytes() > options_.pendingBytes) {
    result.verdict = Verdict::tooMany;
    result.message = "more is waiting for the disk than the store may hold; try again later";
  } else {
    return false;
  }
  aftermath.answers.emplace_back(std::move(done), std::move(result));
  return true;
}

void StoreCore::answer(StreamDone&& done, StreamResult&& result, std::uint64_t ticket, Aftermath& aftermath) {
  if (journal_ == nullptr || ticket <= committed_) {
    aftermath.answers.emplace_back(std::move(done), std::move(result));
    return;
  }
  // What the answer rests on is not durable yet.
  effects_.push_back({.done = std::move(done), .result = std::move(result)});
  pending();
}

void StoreCore::changed(Stream& stream, StreamDone&& done, StreamResult&& result, Aftermath& aftermath) {
  if (journal_ == nullptr) {
    makeVisible(stream, stream.tail, stream.closed, aftermath);
    aftermath.answers.emplace_back(std::move(done), std::move(result));
    return;
  }
  stream.lastTicket = journal_->commit();
  effects_.push_back({stream.id, stream.tail, stream.closed, std::move(done), std::move(result)});
  pending();
}

void StoreCore::publish(std::vector<Effect>& effects, std::uint64_t commit, Aftermath& aftermath) {
  committed_ = std::max(committed_, commit);
  for (Effect& effect : effects) {
    const auto at = effect.stream == 0 ? streams_.end() : streams_.find(effect.stream);
    if (at != streams_.end()) makeVisible(*at->second, effect.tail, effect.closed, aftermath);
    aftermath.answers.emplace_back(std::move(effect.done), std::move(effect.result));
  }
}

void StoreCore::fail(const std::string& why, std::vector<Effect>& effects, Aftermath& aftermath) {
  failure_ = why;
  for (auto* group : {&effects, &effects_}) {
    for (Effect& effect : *group) {
      aftermath.answers.emplace_back(std::move(effect.done),
                                     StreamResult{.verdict = Verdict::unavailable, .message = failure_});
    }
    group->clear();
  }
}

void StoreCore::account(std::uint64_t stream, std::size_t taken) {
  if (options_.cacheBytes == 0 || taken == 0) return;
  cached_.push_back(stream);
  cachedBytes_ += taken;
  // A stream stands here once for each time it took memory; what is not durable yet stays, at the back again.
  for (std::size_t tries = cached_.size(); cachedBytes_ > options_.cacheBytes && tries > 0; --tries) {
    const std::uint64_t id = cached_.front();
    cached_.pop_front();
    const auto at = streams_.find(id);
    if (at == streams_.end()) continue;
    const std::size_t given = at->second->content.dropFront(at->second->visibleTail);
    cachedBytes_ -= given;
    if (given == 0 && at->second->content.memory() > 0) cached_.push_back(id);
  }
}

std::uint64_t StoreCore::watch(std::string_view path, StreamWatch&& watch) {
  Aftermath aftermath;
  std::uint64_t id = 0;
  {
    const std::lock_guard guard(mutex_);
    Stream* stream = find(path, clock_.wallNow(), aftermath);
    if (stream != nullptr && stream->visible && !stream->deleted) {
      id = nextWatcher_++;
      stream->watchers.push_back(std::make_shared<Watcher>(Watcher{id, std::move(watch)}));
      watched_.emplace(id, stream->id);
    }
  }
  aftermath.run();
  return id;
}

void StoreCore::unwatch(std::uint64_t id) {
  const std::lock_guard guard(mutex_);
  const auto at = watched_.find(id);
  if (at == watched_.end()) return;
  Stream& stream = *streams_.at(at->second);
  std::erase_if(stream.watchers, [&](const auto& watcher) { return watcher->id == id; });
  // The window of a watched stream begins when nobody watches it any more.
  if (stream.watchers.empty()) stream.accessed = clock_.wallNow();
  watched_.erase(at);
}

std::vector<std::string> StoreCore::paths() {
  const std::lock_guard guard(mutex_);
  std::vector<std::string> all;
  all.reserve(byPath_.size());
  for (const auto& [path, stream] : byPath_) {
    if (stream->visible && !stream->deleted) all.push_back(path);
  }
  return all;
}

std::size_t StoreCore::size() {
  const std::lock_guard guard(mutex_);
  return streams_.size();
}

void StoreCore::putNote(std::string_view key, std::string_view value, StreamDone&& done) {
  Aftermath aftermath;
  {
    const std::lock_guard guard(mutex_);
    StreamResult result{.verdict = Verdict::done};
    if (key.size() + value.size() > options_.limits.noteBytes) {
      result = {.verdict = Verdict::tooMany, .message = "a note over the store's bound"};
      aftermath.answers.emplace_back(std::move(done), std::move(result));
    } else if (!refused(done, aftermath)) {
      Note& note = notes_[std::string(key)];
      note.value = value;
      if (journal_ != nullptr && !value.empty()) journal_->putNote(key, note);
      if (value.empty()) {
        if (journal_ != nullptr) {
          journal_->release(note);
          journal_->putNoteRemoval(key);
        }
        notes_.erase(std::string(key));
      }
      answer(std::move(done), std::move(result), journal_ != nullptr ? journal_->commit() : 0, aftermath);
    }
  }
  aftermath.run();
}

std::vector<std::pair<std::string, std::string>> StoreCore::notes() {
  const std::lock_guard guard(mutex_);
  std::vector<std::pair<std::string, std::string>> all;
  for (const auto& [key, note] : notes_) all.emplace_back(key, note.value);
  return all;
}

void StoreCore::adopt(std::unique_ptr<Stream> stream) {
  stream->accessed = clock_.wallNow();
  stream->visible = true;
  stream->visibleTail = stream->tail;
  stream->visibleClosed = stream->closed;
  watchDeadline(*stream);
  byPath_.emplace(stream->path, stream.get());
  streams_.emplace(stream->id, std::move(stream));
}

void StoreCore::linkSources() {
  for (const auto& [id, stream] : streams_) {
    if (stream->sourceId == 0) continue;
    stream->source = streams_.at(stream->sourceId).get();
    ++stream->source->forks;
  }
  for (const auto& [id, stream] : streams_) {
    stream->depth = 0;
    for (const Stream* s = stream.get(); s->source != nullptr; s = s->source) ++stream->depth;
  }
}

}  // namespace tidegate::durable_streams::detail
