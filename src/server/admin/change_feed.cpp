#include "tidegate/server/change_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "server/detail/feed_state.h"
#include "server/detail/identity_end.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"
#include "tidegate/http/sse.h"

namespace tidegate::server {
namespace change_feed_detail {

using namespace std::chrono_literals;
using Feed = std::shared_ptr<ChangeFeed::Impl>;

constexpr auto kPace = 250ms;                   // between two looks for news
constexpr int kQuietLooks = 60;                 // so many without news, then a comment keeps the connection alive: 15 s
constexpr std::size_t kMostPending = 1u << 20;  // octets that a slow listener may leave unread
constexpr std::size_t kMostTextBytes = 2'000;
constexpr std::size_t kMostKept = 10'000;

const ChangeFeedOptions& checked(const ChangeFeedOptions& options) {
  if (options.keep >= 1 && options.keep <= kMostKept && options.listeners >= 1) return options;
  throw Error(ErrorCode::invalidConfig, Retry::never,
              fmt::format("ChangeFeedOptions: keep must be 1 to {}, listeners at least 1", kMostKept));
}

void push(std::deque<FeedEntry>& ring, FeedEntry&& entry, std::size_t keep) {
  ring.push_back(std::move(entry));
  if (ring.size() > keep) ring.pop_front();
}

void appendMember(std::string& out, std::string_view name, std::string_view value) {
  out += out.empty() ? '{' : ',';
  appendJsonString(name, out);
  out += ':';
  appendJsonString(value, out);
}

std::string dataOf(const FeedEntry& entry) {
  std::string out;
  appendMember(out, "at", toIso(Timestamp::utc(entry.micros)));
  appendMember(out, "where", entry.where);
  appendMember(out, "what", entry.what);
  if (entry.isChange) {
    appendMember(out, "table", entry.table);
    appendMember(out, "key", entry.key);
  } else {
    appendMember(out, "text", entry.text);
  }
  return out + '}';
}

/// One client. Lives as long as a callback of its stream holds it.
struct Listener {
  Listener(Feed given, std::uint64_t from, Identity caller)
      : feed(std::move(given)), who(std::move(caller)), sent(from) {}
  ~Listener() {
    const std::lock_guard lock(feed->mutex);
    --feed->listeners;
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Feed feed;
  const Identity who;
  std::uint64_t sent;
  int quiet = 0;
};

/// @return false once the client is gone or too slow, or its token has ended.
bool tell(Listener& listener, const http::BodyStream& stream) {
  std::string out;
  if (detail::hasEnded(listener.who, listener.feed->clock)) {
    appendMember(out, "reason", detail::kTokenEnded);
    std::string ended;
    http::appendSse(ended, "ended", out + '}');
    stream.write(std::move(ended));
    stream.end();
    return false;
  }
  for (const FeedEntry& entry : listener.feed->since(listener.sent)) {
    http::appendSse(out, entry.isChange ? "change" : "event", dataOf(entry), std::to_string(entry.id));
    listener.sent = entry.id;
  }
  if (out.empty()) {
    if (++listener.quiet < kQuietLooks) return true;
    out = ":\n\n";
  }
  listener.quiet = 0;
  const std::size_t pending = stream.write(std::move(out));
  if (pending == http::BodyStream::kGone) return false;
  if (pending <= kMostPending) return true;
  stream.abort();
  return false;
}

void lookAgain(const std::shared_ptr<Listener>& listener, const http::BodyStream& stream) {
  stream.after(kPace, [listener, stream] {
    if (tell(*listener, stream)) lookAgain(listener, stream);
  });
}

/// Where the client left off; one from before a restart of ours gets what is kept.
std::uint64_t lastSeen(const Call& call, const ChangeFeed::Impl& feed) {
  const std::string_view text = call.request.headers.get("last-event-id");
  std::uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return 0;
  const std::lock_guard lock(feed.mutex);
  return id <= feed.lastId ? id : 0;
}

void listen(const Feed& feed, const Call& call, http::Responder answer) {
  {
    const std::lock_guard lock(feed->mutex);
    if (feed->listeners >= feed->options.listeners) {
      throw Error(ErrorCode::storeUnavailable, Retry::later, "too many listen to the changes: close a page first");
    }
    ++feed->listeners;
  }
  const auto listener = std::make_shared<Listener>(feed, lastSeen(call, *feed), call.who);
  const http::BodyStream stream =
      answer.stream(200, {{"content-type", "text/event-stream"}, {"cache-control", "no-store"}});
  stream.write("retry: 2000\n\n");
  if (tell(*listener, stream)) lookAgain(listener, stream);
}

}  // namespace change_feed_detail

using namespace change_feed_detail;

ChangeFeed::Impl::Impl(const ChangeFeedOptions& given)
    : options(checked(given)), clock(given.clock != nullptr ? *given.clock : systemClock()) {}

void ChangeFeed::Impl::event(std::string_view where, std::string_view what, std::string_view text) {
  FeedEntry entry{.micros = clock.wallNow().count(),
                  .where = std::string(where),
                  .what = std::string(what),
                  .text = redactSecrets(text)};
  // Not before: half a secret is not known for one.
  if (entry.text.size() > kMostTextBytes) entry.text.resize(kMostTextBytes);
  const std::lock_guard lock(mutex);
  entry.id = ++lastId;
  push(eventRing, std::move(entry), options.keep);
}

void ChangeFeed::Impl::changes(std::deque<FeedEntry>&& entries, std::uint64_t more) {
  const std::int64_t now = clock.wallNow().count();
  const std::lock_guard lock(mutex);
  lastId += more;
  for (FeedEntry& entry : entries) {
    entry.id = ++lastId;
    entry.micros = now;
    push(changeRing, std::move(entry), options.keep);
  }
}

std::vector<FeedEntry> ChangeFeed::Impl::since(std::uint64_t after) const {
  std::vector<FeedEntry> out;
  {
    const std::lock_guard lock(mutex);
    if (after >= lastId) return out;
    for (const auto* ring : {&changeRing, &eventRing}) {
      for (const FeedEntry& entry : *ring) {
        if (entry.id > after) out.push_back(entry);
      }
    }
  }
  std::sort(out.begin(), out.end(), [](const FeedEntry& a, const FeedEntry& b) { return a.id < b.id; });
  return out;
}

ChangeFeed::ChangeFeed(ChangeFeedOptions options) : impl_(std::make_shared<Impl>(options)) {}
ChangeFeed::~ChangeFeed() = default;

void ChangeFeed::note(std::string_view where, std::string_view what, std::string_view text) {
  impl_->event(where, what, text);
}

std::shared_ptr<EngineObserver> ChangeFeed::engineObserver(std::string engine) {
  return detail::feedEngineObserver(impl_, std::move(engine));
}

std::shared_ptr<JobObserver> ChangeFeed::jobObserver(std::shared_ptr<JobObserver> next) {
  return detail::feedJobObserver(impl_, std::move(next));
}

std::shared_ptr<Sink> ChangeFeed::watched(std::shared_ptr<Sink> sink) {
  return detail::feedSink(impl_, std::move(sink));
}

std::vector<FeedEntry> ChangeFeed::since(std::uint64_t after) const { return impl_->since(after); }

std::uint64_t ChangeFeed::told() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->lastId;
}

void addChangeFeed(Api& api, std::shared_ptr<ChangeFeed> feed) {
  Operation watch;
  watch.method = "GET";
  watch.pattern = "/admin/changes";
  watch.name = "watchChanges";
  watch.summary = "The last changes and events, then each as it comes";
  watch.tag = "admin";
  watch.answers = {{.description = "Events `change` {at, where, what, table, key} and `event` {at, where, what, text}; "
                                   "`ended` {reason} with the token",
                    .mediaType = "text/event-stream",
                    .schema = R"({"type":"string"})"}};
  watch.handler = [state = feed->impl_](Call&& call, http::Responder answer) {
    listen(state, call, std::move(answer));
  };
  api.add(std::move(watch));
}

}  // namespace tidegate::server
