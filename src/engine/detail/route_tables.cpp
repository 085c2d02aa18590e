#include "engine/detail/route_tables.h"

#include <algorithm>

#include "tidegate/core/error.h"

namespace tidegate::detail {

void RouteTables::name(const std::vector<std::string>& fullNames) {
  tables_.clear();
  byShape_.clear();
  for (std::size_t i = 0; i < spec_.tables.size(); ++i) {
    if (find(fullNames[i]) != nullptr) {
      throw Error(ErrorCode::invalidConfig, Retry::never,
                  "pipeline \"" + spec_.name + "\" names table \"" + fullNames[i] + "\" twice");
    }
    RouteTable table;
    table.name = fullNames[i];
    table.route = &spec_.tables[i];
    tables_.push_back(std::move(table));
  }
}

void RouteTables::adopt(const Checkpoint& checkpoint) {
  for (RouteTable& table : tables_) {
    const auto found = checkpoint.tables.find(table.name);
    table.durable = found == checkpoint.tables.end() ? TableProgress{} : found->second;
    table.durablePlan =
        table.durable.shape ? std::make_shared<const TablePlan>(*table.route, table.durable.shape) : nullptr;
  }
  durableHole_ = checkpoint.hole;
  undone();
}

void RouteTables::fill(Checkpoint& checkpoint) const {
  checkpoint.tables.clear();
  for (const RouteTable& table : tables_) checkpoint.tables.emplace(table.name, table.now);
  checkpoint.hole = hole;
}

RouteTable* RouteTables::find(std::string_view name) noexcept {
  const auto at = std::find_if(tables_.begin(), tables_.end(), [&](const RouteTable& t) { return t.name == name; });
  return at == tables_.end() ? nullptr : &*at;
}

const RouteTable* RouteTables::find(std::string_view name) const noexcept {
  return const_cast<RouteTables*>(this)->find(name);
}

const RouteTables::Lookup* RouteTables::known(const Shape& shape) const noexcept {
  const auto at = byShape_.find(shape.get());
  return at == byShape_.end() ? nullptr : &at->second.second;
}

const RouteTables::Lookup& RouteTables::lookup(const Shape& shape) {
  if (const Lookup* found = known(shape)) return *found;
  // A source that makes shapes without end costs time, never memory without bound.
  if (byShape_.size() >= kMostShapes) byShape_.clear();
  Lookup made;
  made.table = find(shape->schema.table);
  if (made.table != nullptr) {
    const Plan& current = made.table->plan;
    made.plan = current && current->source->schema == shape->schema
                    ? current
                    : std::make_shared<const TablePlan>(*made.table->route, shape);
  }
  return byShape_.emplace(shape.get(), std::make_pair(shape, std::move(made))).first->second.second;
}

void RouteTables::committed() {
  if (!changed) return;
  for (RouteTable& table : tables_) {
    table.durable = table.now;
    table.durablePlan = table.plan;
  }
  durableHole_ = hole;
  changed = false;
}

void RouteTables::undone() {
  for (RouteTable& table : tables_) {
    table.now = table.durable;
    table.plan = table.durablePlan;
    table.prepared = false;
  }
  hole = durableHole_;
  changed = false;
  stale = true;
}

}  // namespace tidegate::detail
