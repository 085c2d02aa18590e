#include "tidegate/nats/gateway_store.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <utility>

#include "nats/detail/entry_log.h"
#include "nats/detail/kv.h"
#include "nats/detail/snapshots.h"

namespace tidegate::nats {
namespace {

using detail::JetStream;

/// Whom to wake, and of what. It outlives the store as long as a thread of cnats may call it.
class Wake {
 public:
  void set(std::function<void()> wake) {
    const std::lock_guard lock(mutex_);
    wake_ = std::move(wake);
  }
  /// Before the first message comes.
  void setWriter(const std::string& writer) { own_ = writer + "."; }
  void call() {
    // Held meanwhile, so that none begins or runs once `set` has returned; a wake may set another.
    const std::lock_guard lock(mutex_);
    const std::function<void()> wake = wake_;
    if (wake) wake();
  }
  /// Whether the message says nothing that the gateway does not know, or finds out: a part with others to follow, or an
  /// entry of its own. Each wake costs it a question to the servers, while pushes wait.
  bool isOldNews(std::string_view mark, std::string_view part) const {
    detail::PartOf which;
    if (detail::partFrom(part, which) && which.number < which.count) return true;
    if (!mark.starts_with(own_)) return false;
    // While it appends, whatever comes of that is told by the append: where it does not know, the gateway reads.
    if (appending_.load()) return true;
    std::uint64_t number = 0;
    std::from_chars(mark.data() + own_.size(), mark.data() + mark.size(), number);
    return number <= known_.load();
  }
  void beginAppend() noexcept { appending_.store(true); }
  /// @param number of the last own entry of which the gateway has heard.
  void learn(std::uint64_t number) noexcept { known_.store(number); }
  void endAppend() noexcept { appending_.store(false); }

 private:
  std::recursive_mutex mutex_;
  std::function<void()> wake_;  ///< guarded by mutex_
  std::string own_;             ///< how marks of this store's entries begin
  std::atomic<bool> appending_{false};
  std::atomic<std::uint64_t> known_{0};
};

using SharedWake = std::shared_ptr<Wake>;

void onWakeMessage(natsConnection* /*nc*/, natsSubscription* /*sub*/, natsMsg* msg, void* closure) {
  Wake& wake = **static_cast<SharedWake*>(closure);
  const bool old =
      wake.isOldNews(detail::headerOf(msg, detail::kMarkHeader), detail::headerOf(msg, detail::kPartHeader));
  natsMsg_Destroy(msg);
  if (!old) wake.call();
}

void onWakesOver(void* closure) { delete static_cast<SharedWake*>(closure); }

/// Failures of the connection as those of a store.
template <class Work>
auto asStore(const Work& work) -> decltype(work()) {
  try {
    return work();
  } catch (const Error& e) {
    if (e.code() == ErrorCode::positionLost || e.code() == ErrorCode::invalidArgument) throw;
    throw Error(ErrorCode::storeUnavailable, e.retry(), e.message());
  }
}
/// The same, but what the caller's own function throws is thrown as it is.
template <class Work>
auto guarded(const Work& work) {
  std::exception_ptr theirs;
  const auto run = [&](const auto& call) {
    try {
      call();
    } catch (...) {
      theirs = std::current_exception();
      throw;
    }
  };
  try {
    return asStore([&] { return work(run); });
  } catch (...) {
    if (theirs) std::rethrow_exception(theirs);
    throw;
  }
}

class NatsGatewayStore final : public SharedLog {
 public:
  explicit NatsGatewayStore(const GatewayStoreOptions& options)
      : wake_(std::make_shared<Wake>()),
        connection_(options.connect,
                    {.reconnects = true, .sendsAtOnce = true, .onReconnect = [wake = wake_] { wake->call(); }}),
        js_(connection_),
        stream_(options.log),
        subject_("tidegate.log." + options.log),
        entries_(madeStream(options), stream_, subject_ + ".e"),
        snapshots_(js_, stream_ + "_SNAPSHOTS", subject_ + "_snapshots") {
    wake_->setWriter(entries_.writer());
    js_.ensureWakes(stream_, "wakes", subject_ + ".e", wakeSubject());
    listen();
  }
  ~NatsGatewayStore() override {
    wake_->set({});
    detail::endSubscription(connection_.raw(), wakes_);
  }

  std::optional<std::uint64_t> append(std::uint64_t last, std::string_view octets) override {
    struct Appending {
      explicit Appending(Wake& wake) : of(wake) { of.beginAppend(); }
      Appending(const Appending&) = delete;
      Appending& operator=(const Appending&) = delete;
      ~Appending() { of.endAppend(); }
      Wake& of;
    } const appending(*wake_);
    const auto sequence = asStore([&] { return entries_.append(last, octets); });
    if (sequence) wake_->learn(entries_.number());
    return sequence;
  }
  std::uint64_t read(std::uint64_t after, const Visitor& visit) override {
    try {
      return guarded([&](const auto& theirs) {
        return entries_.read(
            after, [&](std::uint64_t sequence, std::string_view octets) { theirs([&] { visit(sequence, octets); }); });
      });
    } catch (const Error& e) {
      if (e.code() == ErrorCode::storeUnavailable && e.retry() == Retry::later) wakeAgain();
      throw;
    }
  }
  void onEntries(std::function<void()> wake) override { wake_->set(std::move(wake)); }
  void putSnapshot(std::uint64_t sequence, const std::function<bool(std::string& chunk)>& next) override {
    guarded([&](const auto& theirs) {
      snapshots_.put(sequence, [&](std::string& chunk) {
        bool more = false;
        theirs([&] { more = next(chunk); });
        return more;
      });
    });
  }
  std::optional<std::uint64_t> readSnapshot(const std::function<void(std::string_view chunk)>& chunk) override {
    return guarded([&](const auto& theirs) {
      return snapshots_.read([&](std::string_view octets) { theirs([&] { chunk(octets); }); });
    });
  }
  void trim(std::uint64_t sequence) override {
    asStore([&] { js_.purge(stream_, sequence + 1); });
  }

 private:
  /// Makes both streams before anything needs them.
  JetStream& madeStream(const GatewayStoreOptions& options) {
    const detail::StreamInfo made =
        js_.ensure({.name = stream_, .subjects = {subject_ + ".>"}, .options = options.stream, .discardNew = true});
    if (detail::mayDiverge(made)) {
      spdlog::warn(
          "nats: oldServers: stream \"{}\" is replicated by nats-servers before 2.11, whose replicas may differ after "
          "a leader was cut off for some seconds, or killed with all others. A gateway that meets that stops with "
          "logDiverged; run nats-server 2.11 or later",
          stream_);
    }
    js_.ensure({.name = stream_ + "_SNAPSHOTS",
                .subjects = {subject_ + "_snapshots.>"},
                .options = options.stream,
                .discardNew = true});
    return js_;
  }
  /// Not of the stream's subjects: it is told, not kept.
  std::string wakeSubject() const { return subject_ + "_wakes"; }

  /// Whoever read because of a wake learns by another one that it has to read again.
  void wakeAgain() noexcept {
    try {
      connection_.publish(wakeSubject(), {}, {});
    } catch (const std::exception&) {  // a new connection wakes by itself
    }
  }

  void listen() {
    auto closure = std::make_unique<SharedWake>(wake_);
    natsStatus status =
        natsConnection_Subscribe(&wakes_, connection_.raw(), wakeSubject().c_str(), onWakeMessage, closure.get());
    if (status == NATS_OK) status = natsSubscription_SetOnCompleteCB(wakes_, onWakesOver, closure.get());
    if (status != NATS_OK) {
      natsSubscription_Destroy(std::exchange(wakes_, nullptr));
      closure.release();  // a thread of cnats may still have it
      detail::throwStatus(status, detail::Effect::none, "subscribing to the shared log's wakes");
    }
    closure.release();
    connection_.flush();
  }

  const SharedWake wake_;
  detail::Connection connection_;
  JetStream js_;
  const std::string stream_;
  const std::string subject_;
  detail::EntryLog entries_;
  detail::Snapshots snapshots_;
  natsSubscription* wakes_ = nullptr;
};

}  // namespace

std::shared_ptr<SharedLog> gatewayStore(GatewayStoreOptions options) {
  detail::checkBucket(options.log, "nats::gatewayStore");
  if (options.stream.maxAge.count() != 0) {
    throw Error(
        ErrorCode::invalidConfig, Retry::never,
        "nats::gatewayStore: maxAge must be 0: an entry that goes by age alone may be one that no snapshot has");
  }
  return std::make_shared<NatsGatewayStore>(options);
}

}  // namespace tidegate::nats
