/// What a stream of State Protocol messages comes to: its entities, as a reader of it would hold them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "tidegate/durable_streams/state_protocol.h"

namespace tidegate::durable_streams::detail {

/// @thread One at a time.
class EntityView {
 public:
  struct Entity {
    std::string value{};           ///< JSON
    std::uint64_t generation = 0;  ///< the snapshot in which it was last named
  };
  struct Type {
    std::unordered_map<std::string, Entity> entities{};
    std::uint64_t generation = 0;  ///< grows with each snapshot-start
  };

  /// @throws Error{parseError} for what is no message.
  void take(std::string_view message);
  void take(const ChangeMessage& message);
  void take(const ControlMessage& message);

  const Type& of(const std::string& type) const;
  const Entity* find(const std::string& type, const std::string& key) const;
  /// About what it holds in memory.
  std::size_t bytes() const noexcept { return bytes_; }

 private:
  static constexpr std::size_t kEntityOverhead = 96;
  void clear(Type& type);

  std::map<std::string, Type> types_;
  std::size_t bytes_ = 0;
};

}  // namespace tidegate::durable_streams::detail
