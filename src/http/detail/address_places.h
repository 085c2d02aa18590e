/// Counts the connections of each address, so that one peer cannot take them all.
#pragma once

#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace tidegate::http::detail {

/// @thread Any. Holds as many entries as addresses have connections.
class AddressPlaces : public std::enable_shared_from_this<AddressPlaces> {
 public:
  /// One connection's place; gives it back at its end. An empty one holds none.
  class Place {
   public:
    Place() = default;
    Place(std::shared_ptr<AddressPlaces> places, std::string group)
        : places_(std::move(places)), group_(std::move(group)) {}
    Place(Place&&) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (places_) places_->leave(group_);
    }

   private:
    std::shared_ptr<AddressPlaces> places_{};  ///< a share: a connection that was never adopted may outlive the server
    std::string group_{};
  };

  /// @param most 0: no bound, and nothing is counted. @return nullopt where the address has `most` already.
  std::optional<Place> enter(std::string_view address, std::size_t most);

 private:
  void leave(const std::string& group) noexcept;

  std::mutex mutex_;
  std::unordered_map<std::string, std::size_t> open_;  ///< guarded by mutex_; no zeros
};

}  // namespace tidegate::http::detail
