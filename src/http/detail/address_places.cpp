#include "http/detail/address_places.h"

#include "tidegate/http/message.h"

namespace tidegate::http::detail {

std::optional<AddressPlaces::Place> AddressPlaces::enter(std::string_view address, std::size_t most) {
  if (most == 0) return Place();
  std::string group = addressGroup(address);
  const std::lock_guard lock(mutex_);
  std::size_t& open = open_[group];
  if (open >= most) return std::nullopt;
  ++open;
  return Place(shared_from_this(), std::move(group));
}

void AddressPlaces::leave(const std::string& group) noexcept {
  const std::lock_guard lock(mutex_);
  const auto at = open_.find(group);
  if (at != open_.end() && --at->second == 0) open_.erase(at);
}

}  // namespace tidegate::http::detail
