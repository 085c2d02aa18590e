#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "electric/detail/feed_impl.h"
#include "source/detail/delta_shapes.h"
#include "tidegate/core/error.h"

namespace tidegate::electric {
namespace {

constexpr std::size_t kBaselinePiece = 10'000;  ///< rows of a snapshot that are held at once

Position positionOfStamp(std::uint64_t stamp) {
  Position position;
  for (int shift = 56; shift >= 0; shift -= 8) position.octets.push_back(static_cast<char>(stamp >> shift));
  return position;
}

std::uint64_t stampOfPosition(const Position& position) {
  std::uint64_t stamp = 0;
  for (const char octet : position.octets) stamp = stamp << 8 | static_cast<std::uint8_t>(octet);
  return stamp;
}

ShapeFeedOptions stamped(ShapeFeedOptions options) {
  options.lsnOf = stampOfPosition;
  return options;
}

/// Reads a gateway's log into a hub, whenever somebody asks or waits. Starts no thread.
class GatewayReader final : public ShapeFeed::Impl, public std::enable_shared_from_this<GatewayReader> {
 public:
  GatewayReader(Gateway& gateway, GatewayFeedOptions options)
      : Impl(stamped(options.feed)),
        gateway_(gateway),
        options_(std::move(options)),
        shapes_(options_.tables, "row_id") {
    for (const TableSchema& schema : options_.tables) {
      served_.insert(schema.table);
      hub.prepare(shapes_.find(schema.table));
    }
  }

  void refresh() override {
    do {
      const std::lock_guard lock(mutex_);
      drain();
    } while (news_.load(std::memory_order_acquire) && hub.waiting() > 0);
  }

 private:
  void onNews() {
    news_.store(true, std::memory_order_release);
    if (hub.waiting() == 0) return;  // whoever comes next takes it over
    if (!options_.run) return takeOver();
    options_.run([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->takeOver();
    });
  }

  /// Never waits for another thread that is doing the same: that one looks again when it is done.
  void takeOver() {
    while (news_.load(std::memory_order_acquire)) {
      const std::unique_lock lock(mutex_, std::try_to_lock);
      if (!lock.owns_lock()) return;
      drain();
    }
  }

  // Under mutex_ from here on.

  void drain() {
    if (bell_ && !news_.load(std::memory_order_acquire)) return;
    // Rings once, at the first commit after this.
    news_.store(false, std::memory_order_release);
    bell_.emplace(gateway_.subscribe({.clientId = options_.clientId,
                                      .sinceHlc = Hlc{position_.value_or(0)},
                                      .maxBatch = 1,
                                      .onReady =
                                          [weak = weak_from_this()] {
                                            if (const auto self = weak.lock()) self->onNews();
                                          }},
                                     options_.claims));
    if (!position_) return readAnew();
    for (bool more = true; more;) {
      const PullResult page = gateway_.handlePull({.clientId = options_.clientId,
                                                   .sinceHlc = Hlc{*position_},
                                                   .maxDeltas = options_.pageDeltas,
                                                   .stamps = true},
                                                  options_.claims);
      if (page.mustResync) return readAnew();
      take(page);
      position_ = page.serverHlc.raw;
      more = page.hasMore;
    }
  }

  void take(const PullResult& page) {
    std::vector<ChangeEvent> events;
    for (std::size_t i = 0; i < page.deltas.size(); ++i) {
      if (!served_.contains(page.deltas[i].table)) continue;
      const std::uint64_t stamp = page.stamps[i].raw;
      if (!add(page.deltas[i], stamp, false, events)) continue;
      const bool begins = events.size() == 1 || stampOfPosition(events[events.size() - 2].position) != stamp;
      events.back().transactionBegin = begins;
      events.back().transactionId = transactionIdOf(Hlc{stamp});
    }
    hub.commit(events);
  }

  bool add(const RowDelta& delta, std::uint64_t stamp, bool baseline, std::vector<ChangeEvent>& events) {
    ChangeEvent event;
    event.shape = shapes_.find(delta.table);
    event.position = positionOfStamp(stamp);
    try {
      if (delta.op == DeltaOp::erase) {
        event.op = ChangeOp::erase;
        shapes_.values(delta, event.before, event.beforeAbsent);
      } else {
        event.op = baseline ? ChangeOp::read : delta.op == DeltaOp::insert ? ChangeOp::insert : ChangeOp::update;
        shapes_.values(delta, event.after, event.unchanged);
        if (event.op != ChangeOp::update) event.unchanged.clear();
      }
    } catch (const Error& e) {
      hub.countRefusedRow();
      spdlog::warn("shape feed of a gateway: a row is left out: {}", e.message());
      return false;
    }
    events.push_back(std::move(event));
    return true;
  }

  void border(ChangeOp op, std::uint64_t stamp, std::vector<ChangeEvent>& events) {
    for (const std::string& table : served_) {
      ChangeEvent& event = events.emplace_back();
      event.op = op;
      event.shape = shapes_.find(table);
      event.position = positionOfStamp(stamp);
    }
  }

  /// The whole of it: what shapes have already and what they get differ by ordinary changes.
  void readAnew() {
    GatewaySnapshot snapshot = gateway_.snapshot(options_.claims, options_.clientId);
    const std::uint64_t stamp = snapshot.serverHlc().raw;
    std::vector<ChangeEvent> events;
    border(ChangeOp::baselineBegin, stamp, events);
    for (RowDelta row; snapshot.next(row);) {
      if (!served_.contains(row.table)) continue;
      add(row, stamp, true, events);
      if (events.size() < kBaselinePiece) continue;
      hub.commit(events);
      events.clear();
    }
    border(ChangeOp::baselineEnd, stamp, events);
    hub.commit(events);
    position_ = stamp;
    news_.store(true, std::memory_order_release);  // what came meanwhile
  }

  Gateway& gateway_;
  const GatewayFeedOptions options_;
  std::atomic<bool> news_{true};

  std::mutex mutex_;
  // guarded by mutex_
  tidegate::detail::DeltaShapes shapes_;
  std::set<std::string, std::less<>> served_;
  std::optional<Subscription> bell_;
  std::optional<std::uint64_t> position_;
};

}  // namespace

std::shared_ptr<ShapeFeed> gatewayFeed(Gateway& gateway, GatewayFeedOptions options) {
  if (options.tables.empty()) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "a gateway's feed needs the schemas of the tables it serves");
  }
  auto reader = std::make_shared<GatewayReader>(gateway, std::move(options));
  reader->refresh();
  return std::make_shared<ShapeFeed>(std::move(reader));
}

std::uint64_t transactionIdOf(Hlc serverHlc) noexcept {
  constexpr std::uint64_t kEpochMillis = 1'704'067'200'000;  // 2024-01-01
  const std::uint64_t millis = serverHlc.millis();
  const std::uint64_t since = millis >= kEpochMillis ? millis - kEpochMillis : millis;
  return (since & ((std::uint64_t{1} << 41) - 1)) << 12 | (serverHlc.raw & 0xFFF);
}

}  // namespace tidegate::electric
