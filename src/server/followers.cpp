#include "server/detail/followers.h"

#include <utility>

#include "server/detail/sync_core.h"
#include "server/detail/sync_errors.h"
#include "tidegate/http/server.h"

namespace tidegate::server::detail {

/// Followers that are to be read for. Outlives the `Followers`: a commit may be telling one of news.
class FollowerQueue {
 public:
  /// @return false once closed.
  bool add(std::shared_ptr<Follower> follower) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return false;
      ready_.push_back(std::move(follower));
    }
    wake_.notify_one();
    return true;
  }
  /// Null once closed.
  std::shared_ptr<Follower> take() {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return closed_ || !ready_.empty(); });
    if (closed_) return nullptr;
    auto first = std::move(ready_.front());
    ready_.pop_front();
    return first;
  }
  void close() {
    std::deque<std::shared_ptr<Follower>> dropped;
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
      dropped.swap(ready_);
    }
    wake_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Follower>> ready_{};
  bool closed_ = false;
};

Follower::Follower(Following following, std::shared_ptr<FollowerQueue> queue, const SyncApiOptions& options)
    : following_(std::move(following)), queue_(std::move(queue)), options_(options) {}

Follower::~Follower() = default;

void Follower::begin() {
  begun_ = true;
  if (!queue_->add(shared_from_this())) following_.ended();
}

void Follower::wake() {
  if (!over_ && !queued_.exchange(true)) queue_->add(shared_from_this());
}

void Follower::subscribe(Hlc since) {
  subscription_.emplace(following_.gateway->subscribe({.clientId = following_.clientId,
                                                       .sinceHlc = since,
                                                       .maxBatch = options_.batch,
                                                       .maxQueuedEntries = options_.maxQueuedEntries,
                                                       .onReady =
                                                           [self = weak_from_this()] {
                                                             if (const auto follower = self.lock()) follower->wake();
                                                           }},
                                                      following_.claims));
}

/// From a place in the log to its end, page by page; then the subscription goes on from there.
std::optional<PullResult> Follower::catchUp() {
  PullResult page = following_.gateway->handlePull({following_.clientId, position_, options_.batch}, following_.claims);
  if (page.mustResync) return page;
  if (!page.hasMore) {
    subscribe(page.serverHlc);
    // From nothing means from now: what came in between is looked for once more.
    if (page.serverHlc == Hlc{}) {
      page = following_.gateway->handlePull({following_.clientId, {}, options_.batch}, following_.claims);
      if (page.mustResync) return page;
      if (page.serverHlc != Hlc{}) subscription_.reset();
    }
  }
  const bool news = page.serverHlc != position_ || !page.deltas.empty();
  position_ = page.serverHlc;
  return news ? std::optional(std::move(page)) : std::nullopt;
}

std::optional<PullResult> Follower::live() {
  auto event = subscription_->next(std::chrono::milliseconds(0));
  if (!event) return std::nullopt;
  if (event->closed) {
    over_ = true;
    following_.ended();
    return std::nullopt;
  }
  PullResult batch{.deltas = std::move(event->deltas), .serverHlc = event->serverHlc, .reason = {}};
  if (event->mustResync) {
    batch.mustResync = true;
    batch.reason = "it fell too far behind the log, or its view changed; take a checkpoint, then go on from it";
  }
  return batch;
}

std::optional<PullResult> Follower::read() {
  for (int tries = 0; !subscription_ && tries < 2; ++tries) {
    if (auto page = catchUp()) return page;
  }
  // What was committed between the last page and the subscription has woken nobody.
  return subscription_ ? live() : std::nullopt;
}

void Follower::serve() {
  queued_ = false;  // before the look: what comes from here on queues it again
  if (over_) return;
  const std::size_t pending = following_.pending();
  if (pending == http::BodyStream::kGone) {
    end();
    return following_.ended();
  }
  if (pending > options_.window) return;  // woken when it has drained
  auto batch = read();
  if (!batch) return;
  if (batch->mustResync) over_ = true;
  tellOwnInserts(batch->deltas, following_.clientId);
  following_.batch(*batch);
  wake();
}

Followers::Followers(const SyncApiOptions& options) : options_(options), queue_(std::make_shared<FollowerQueue>()) {}

Followers::~Followers() { stop(); }

std::shared_ptr<Follower> Followers::follow(Following following) {
  const std::optional<Hlc> since = following.since;
  const auto follower = std::make_shared<Follower>(std::move(following), queue_, options_);
  {
    const std::lock_guard lock(mutex_);
    if (stopped_) refuseSync(503, "ADAPTER_ERROR", "the server stops; connect again");
    if (all_.size() >= options_.followers) refuseSync(503, "RATE_LIMITED", "too many follow the log; try again later");
    // Before it is counted: where no thread can be started, its place is nobody's.
    while (threads_.size() < options_.fanOutThreads) threads_.emplace_back([this] { work(); });
    const auto held = perClient_.find(follower->clientId());
    if (held != perClient_.end() && held->second >= options_.followersPerClient) {
      refuseSync(429, "RATE_LIMITED", "this client follows the log too often; close one connection first");
    }
    all_.emplace(follower.get(), follower);
    ++perClient_[follower->clientId()];
  }
  try {
    // From now on: now is before whoever follows learns that it does.
    if (since) {
      follower->position_ = *since;
    } else {
      follower->subscribe({});
    }
  } catch (...) {
    leave(follower);
    throw;
  }
  return follower;
}

void Followers::leave(const std::shared_ptr<Follower>& follower) {
  follower->end();
  const std::lock_guard lock(mutex_);
  if (all_.erase(follower.get()) == 0) return;
  const auto mine = perClient_.find(follower->clientId());
  if (mine != perClient_.end() && --mine->second == 0) perClient_.erase(mine);
}

void Followers::work() {
  while (const auto follower = queue_->take()) {
    try {
      follower->serve();
    } catch (...) {
      syncRefusalFor(std::current_exception());  // logs what is no refusal
      follower->end();
      follower->following_.ended();
    }
  }
}

void Followers::stop() noexcept {
  std::map<const Follower*, std::shared_ptr<Follower>> all;
  std::vector<std::jthread> threads;
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    all.swap(all_);
    perClient_.clear();
    threads.swap(threads_);
  }
  queue_->close();
  threads.clear();
  for (const auto& [key, follower] : all) {
    follower->end();
    if (follower->begun_) follower->following_.ended();  // the others are told as they begin
  }
}

}  // namespace tidegate::server::detail
