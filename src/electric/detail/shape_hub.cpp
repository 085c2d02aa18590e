#include "electric/detail/shape_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::electric::detail {

ShapeHub::ShapeHub(ShapeFeedOptions options)
    : options_(std::move(options)), clock_(options_.clock != nullptr ? options_.clock : &systemClock()) {
  const bool bad = options_.maxShapes == 0 || options_.maxSnapshots == 0 || options_.chunkBytes == 0 ||
                   options_.chunkRows == 0 || options_.snapshotTime.count() <= 0;
  if (!bad) return;
  throw Error(ErrorCode::invalidConfig, Retry::never,
              "shape feed: maxShapes, maxSnapshots, chunkBytes, chunkRows and snapshotTime must be positive");
}

ShapeHub::Table& ShapeHub::tableOf(const Shape& shape) {
  const auto found = tables_.find(shape->schema.table);
  if (found != tables_.end()) return *found->second;
  return *tables_.emplace(shape->schema.table, std::make_unique<Table>(shape)).first->second;
}

void ShapeHub::prepare(const Shape& shape) {
  const std::lock_guard lock(mutex_);
  tableOf(shape);
}

Shape ShapeHub::shapeOf(std::string_view table) const {
  const std::lock_guard lock(mutex_);
  const auto found = tables_.find(table);
  return found == tables_.end() ? nullptr : found->second->rows.shape();
}

std::vector<TableSchema> ShapeHub::tables() const {
  const std::lock_guard lock(mutex_);
  std::vector<TableSchema> all;
  for (const auto& [name, table] : tables_) all.push_back(table->rows.shape()->schema);
  return all;
}

bool ShapeHub::ready(std::string_view table) const {
  const std::lock_guard lock(mutex_);
  const auto found = tables_.find(table);
  return found != tables_.end() && found->second->ready;
}

std::pair<Shape, std::vector<PackedRow>> ShapeHub::rowsOf(std::string_view table) const {
  const std::lock_guard lock(mutex_);
  const auto found = tables_.find(table);
  if (found == tables_.end()) return {};
  return {found->second->rows.shape(), found->second->rows.all()};
}

void ShapeHub::countRefusedRow() {
  const std::lock_guard lock(mutex_);
  ++counts_.refusedRows;
}

ShapeOffset ShapeHub::last() const {
  const std::lock_guard lock(mutex_);
  return last_;
}

ShapeFeedStats ShapeHub::stats() const {
  const std::lock_guard lock(mutex_);
  ShapeFeedStats stats = counts_;
  stats.tables = tables_.size();
  for (const auto& [name, table] : tables_) {
    stats.rows += table->rows.size();
    stats.rowBytes += table->rows.bytes();
    stats.conditions += table->groups.size();
    stats.snapshots += table->snapshots.size();
  }
  stats.shapes = shapes_.size();
  stats.logBytes = logBytes_;
  stats.waiting = waiting_.load(std::memory_order_relaxed);
  return stats;
}

/// Never the same twice, not even after a restart: clients remember handles that are over.
std::string ShapeHub::newHandle(const std::string& identity) {
  lastHandle_ = std::max(lastHandle_ + 1, static_cast<std::int64_t>(clock_->wallNow().count()));
  const auto hash = static_cast<std::uint32_t>(std::hash<std::string>{}(identity));
  return fmt::format("{}-{}", hash, lastHandle_);
}

std::pair<std::shared_ptr<LiveShape>, std::string> ShapeHub::open(const ShapeDefinition& definition,
                                                                  const std::string& avoid) {
  const std::string identity = definition.identity();
  std::shared_ptr<LiveShape> shape;
  {
    const std::lock_guard lock(mutex_);
    const auto table = tables_.find(definition.table->schema.table);
    if (table == tables_.end()) {
      throw Error(ErrorCode::tableNotFound, Retry::never,
                  fmt::format("table \"{}\" is not served", definition.table->schema.table));
    }
    if (table->second->rows.shape() != definition.table) return {};
    auto& slot = shapes_[identity];
    if (slot == nullptr) {
      slot = std::make_shared<LiveShape>(definition, last_, newHandle(identity));
      byHandle_[slot->handle] = slot;
      table->second->groups.add(*slot);
    }
    shape = slot;
    shape->used = ++uses_;
    if (shapes_.size() > options_.maxShapes && !evictOne(shape.get())) {
      Waiters none;
      endShape(shape, none);
      throw Error(ErrorCode::backPressure, Retry::later,
                  fmt::format("{} shapes are being read, and no more are allowed", options_.maxShapes));
    }
    if (shape->handle != avoid) return {shape, shape->handle};
  }
  return {shape, renew(*shape, avoid)};
}

std::pair<std::shared_ptr<LiveShape>, std::string> ShapeHub::find(const std::string& handle,
                                                                  const std::string& identity) {
  const std::lock_guard lock(mutex_);
  const auto found = byHandle_.find(handle);
  if (found == byHandle_.end()) return {};
  const auto named = shapes_.find(identity);
  if (named == shapes_.end() || named->second != found->second) return {};
  found->second->used = ++uses_;
  return {found->second, found->second->handle};
}

std::string ShapeHub::handleOf(const std::string& identity) const {
  const std::lock_guard lock(mutex_);
  const auto found = shapes_.find(identity);
  return found == shapes_.end() ? std::string() : found->second->handle;
}

std::string ShapeHub::renew(LiveShape& shape, const std::string& handle) {
  constexpr std::size_t kOlderHandles = 16;
  const std::lock_guard lock(mutex_);
  if (shape.gone || shape.handle != handle) return shape.handle;
  const auto self = byHandle_.at(shape.handle);
  shape.older.push_back(shape.handle);
  shape.handle = newHandle(handle);
  byHandle_[shape.handle] = self;
  if (shape.older.size() > kOlderHandles) {
    byHandle_.erase(shape.older.front());
    shape.older.pop_front();
  }
  return shape.handle;
}

void ShapeHub::takeWaiters(LiveShape& shape, Waiters& woken) {
  for (auto& [raw, waiter] : shape.waiters) woken.push_back(std::move(waiter));
  waiting_.fetch_sub(shape.waiters.size(), std::memory_order_release);
  shape.waiters.clear();
}

void ShapeHub::endShape(const std::shared_ptr<LiveShape>& shape, Waiters& woken) {
  const std::shared_ptr<LiveShape> held = shape;
  held->gone = true;
  takeWaiters(*held, woken);
  byHandle_.erase(held->handle);
  for (const std::string& handle : held->older) byHandle_.erase(handle);
  logBytes_ -= held->log.bytes();
  const auto table = tables_.find(held->definition.table->schema.table);
  if (table != tables_.end()) table->second->groups.remove(*held);
  shapes_.erase(held->definition.identity());
  ++counts_.rotations;
}

void ShapeHub::endShapesOf(Table& table, Waiters& woken) {
  std::vector<std::shared_ptr<LiveShape>> ended;
  for (const auto& [identity, shape] : shapes_) {
    if (shape->definition.table->schema.table == table.rows.shape()->schema.table) ended.push_back(shape);
  }
  for (const auto& shape : ended) endShape(shape, woken);
  table.snapshots.clear();
}

/// Forgets the shape that was asked for longest ago and that nobody waits for.
bool ShapeHub::evictOne(const LiveShape* keep) {
  std::shared_ptr<LiveShape> oldest;
  for (const auto& [identity, shape] : shapes_) {
    if (shape.get() == keep || !shape->waiters.empty()) continue;
    if (oldest == nullptr || shape->used < oldest->used) oldest = shape;
  }
  if (oldest == nullptr) return false;
  Waiters none;
  endShape(oldest, none);
  return true;
}

void ShapeHub::boundLogs(const std::vector<LiveShape*>& changed) {
  const auto trim = [&](LiveShape& shape, std::size_t bytes) {
    logBytes_ -= shape.log.bytes();
    shape.log.trim(bytes);
    logBytes_ += shape.log.bytes();
  };
  for (LiveShape* shape : changed) trim(*shape, options_.maxShapeLogBytes);
  // Half of everything at once, so that this is rare.
  if (logBytes_ <= options_.maxLogBytes) return;
  for (const auto& [identity, shape] : shapes_) trim(*shape, shape->log.bytes() / 2);
}

std::size_t ShapeHub::rotate(std::string_view table, const std::string& handle) {
  Waiters woken;
  std::vector<std::shared_ptr<LiveShape>> ended;
  {
    const std::lock_guard lock(mutex_);
    if (!handle.empty()) {
      const auto found = byHandle_.find(handle);
      if (found != byHandle_.end()) ended.push_back(found->second);
    } else {
      for (const auto& [identity, shape] : shapes_) {
        if (table.empty() || shape->definition.table->schema.table == table) ended.push_back(shape);
      }
    }
    for (const auto& shape : ended) endShape(shape, woken);
  }
  wakeAll(woken);
  return ended.size();
}

void ShapeHub::wakeAll(const Waiters& woken) {
  for (const auto& waiter : woken) waiter->wake();
}

void ShapeHub::dropSnapshots(Table& table, bool forAnother) {
  const std::int64_t tooOld = clock_->steadyNow().count() - std::chrono::microseconds(options_.snapshotTime).count();
  std::erase_if(table.snapshots, [&](const auto& snapshot) { return snapshot->usedMicros < tooOld; });
  if (forAnother && table.snapshots.size() >= options_.maxSnapshots) table.snapshots.erase(table.snapshots.begin());
}

std::shared_ptr<const TableSnapshot> ShapeHub::beginSnapshot(LiveShape& shape) {
  const std::lock_guard lock(mutex_);
  if (shape.gone) return nullptr;
  Table& table = *tables_.at(shape.definition.table->schema.table);
  dropSnapshots(table, false);
  // One that is nearly new serves many clients; what came since is in the shape's log.
  if (!table.snapshots.empty()) {
    TableSnapshot& newest = *table.snapshots.back();
    const std::uint64_t since = table.rows.changes() - newest.changes;
    if (newest.at >= shape.log.start() && since <= std::max<std::uint64_t>(64, table.rows.size() / 8)) {
      newest.usedMicros = clock_->steadyNow().count();
      return table.snapshots.back();
    }
  }
  dropSnapshots(table, true);
  auto snapshot = std::make_shared<TableSnapshot>();
  snapshot->id = ++lastSnapshot_;
  snapshot->shape = table.rows.shape();
  snapshot->at = last_;
  snapshot->rows = table.rows.all();
  snapshot->changes = table.rows.changes();
  snapshot->usedMicros = clock_->steadyNow().count();
  table.snapshots.push_back(snapshot);
  return snapshot;
}

std::shared_ptr<const TableSnapshot> ShapeHub::snapshot(LiveShape& shape, std::uint32_t id) {
  const std::lock_guard lock(mutex_);
  if (shape.gone) return nullptr;
  Table& table = *tables_.at(shape.definition.table->schema.table);
  for (const auto& snapshot : table.snapshots) {
    if (snapshot->id != id || snapshot->at < shape.log.start()) continue;
    snapshot->usedMicros = clock_->steadyNow().count();
    return snapshot;
  }
  return nullptr;
}

ShapeReading ShapeHub::read(LiveShape& shape, ShapeOffset after) {
  const std::lock_guard lock(mutex_);
  ShapeReading reading{.last = last_, .handle = shape.handle};
  if (shape.gone || after < shape.log.start()) {
    reading.kind = shape.gone ? ShapeReading::gone : ShapeReading::tooOld;
    ++counts_.refetches;
  } else if (after.tx > last_.tx) {
    reading.kind = ShapeReading::outOfBounds;
  } else {
    reading.piece = shape.log.read(after, options_.chunkBytes);
    shape.used = ++uses_;
  }
  return reading;
}

bool ShapeHub::wait(LiveShape& shape, ShapeOffset after, std::shared_ptr<ShapeWaiter> waiter) {
  const std::lock_guard lock(mutex_);
  if (shape.gone || shape.log.end() > after) return false;
  ShapeWaiter* const raw = waiter.get();
  if (shape.waiters.emplace(raw, std::move(waiter)).second) waiting_.fetch_add(1, std::memory_order_release);
  return true;
}

void ShapeHub::cancel(LiveShape& shape, ShapeWaiter* waiter) {
  std::shared_ptr<ShapeWaiter> held;  // destroyed after the lock
  const std::lock_guard lock(mutex_);
  const auto found = shape.waiters.find(waiter);
  if (found == shape.waiters.end()) return;
  held = std::move(found->second);
  shape.waiters.erase(found);
  waiting_.fetch_sub(1, std::memory_order_release);
}

}  // namespace tidegate::electric::detail
