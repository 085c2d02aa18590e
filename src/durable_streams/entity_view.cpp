#include "durable_streams/detail/entity_view.h"

namespace tidegate::durable_streams::detail {

void EntityView::take(std::string_view message) {
  std::visit([this](const auto& m) { take(m); }, parseStateMessage(message));
}

void EntityView::take(const ChangeMessage& message) {
  Type& type = types_[message.type];
  const auto at = type.entities.find(message.key);
  if (message.operation == StateOperation::erase) {
    if (at == type.entities.end()) return;
    bytes_ -= at->first.size() + at->second.value.size() + kEntityOverhead;
    type.entities.erase(at);
    return;
  }
  if (at == type.entities.end()) {
    bytes_ += message.key.size() + message.value.size() + kEntityOverhead;
    type.entities.emplace(message.key, Entity{message.value, type.generation});
    return;
  }
  bytes_ += message.value.size();
  bytes_ -= at->second.value.size();
  at->second = Entity{message.value, type.generation};
}

void EntityView::take(const ControlMessage& message) {
  if (message.control == StateControl::reset) {
    if (!message.type.empty()) return clear(types_[message.type]);
    for (auto& [name, type] : types_) clear(type);
  } else if (message.control == StateControl::snapshotStart) {
    if (!message.type.empty()) {
      ++types_[message.type].generation;
    } else {
      for (auto& [name, type] : types_) ++type.generation;
    }
  }
}

void EntityView::clear(Type& type) {
  for (const auto& [key, entity] : type.entities) bytes_ -= key.size() + entity.value.size() + kEntityOverhead;
  type.entities.clear();
}

const EntityView::Type& EntityView::of(const std::string& type) const {
  static const Type kNone;
  const auto at = types_.find(type);
  return at == types_.end() ? kNone : at->second;
}

const EntityView::Entity* EntityView::find(const std::string& type, const std::string& key) const {
  const auto& entities = of(type).entities;
  const auto at = entities.find(key);
  return at == entities.end() ? nullptr : &at->second;
}

}  // namespace tidegate::durable_streams::detail
