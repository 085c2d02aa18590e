/// A shape that is being kept: its definition, its handles, its log, and who waits for it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "electric/detail/shape_definition.h"
#include "electric/detail/shape_log.h"
#include "electric/detail/shape_message.h"

namespace tidegate::electric::detail {

/// Somebody who waits for a shape to change. Told once, then forgotten.
class ShapeWaiter {
 public:
  virtual ~ShapeWaiter() = default;
  /// Called on the thread that changed something, under no lock; must not block.
  virtual void wake() = 0;
};

/// All but the constant parts is guarded by the hub that owns it.
struct LiveShape {
  LiveShape(ShapeDefinition what, ShapeOffset start, std::string name)
      : definition(std::move(what)), texts(definition.table->schema.table), handle(std::move(name)), log(start) {}

  const ShapeDefinition definition;
  const TableTexts texts;

  std::string handle;               ///< that new clients get
  std::deque<std::string> older{};  ///< handles of clients that came before and are not too far behind
  ShapeLog log;
  bool gone = false;       ///< rotated or evicted: its handles mean nothing any more
  std::uint64_t used = 0;  ///< greater: used later
  std::unordered_map<ShapeWaiter*, std::shared_ptr<ShapeWaiter>> waiters{};
  std::string pending{};  ///< the transaction's last message so far
  ShapeOffset pendingAt{};
};

}  // namespace tidegate::electric::detail
