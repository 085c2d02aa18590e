/// The key under which a job store keeps passwords.
///
///     auto key = JobKey::fromFile("/var/lib/app/jobs.key");   // made at the first call, readable by its owner alone
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace tidegate {

/// AES-256-GCM. Copies share the key; it is wiped with the last of them.
/// @thread Immutable: any.
class JobKey {
 public:
  static constexpr std::size_t kBytes = 32;
  /// @throws Error{invalidConfig} for anything but 32 octets.
  static JobKey fromBytes(std::string_view octets);
  /// Reads a file of 32 octets, or makes it with random ones.
  /// @throws Error{permissionDenied} if others may read it; Error{storeUnavailable, storeCorrupt}
  static JobKey fromFile(const std::string& path);

  /// Base64 of version, nonce, ciphertext and tag. What was sealed for one context opens for no other.
  std::string seal(std::string_view plain, std::string_view context) const;
  /// @throws Error{storeCorrupt, Retry::afterOperator} if it was sealed with another key or for another context, or was
  /// changed.
  std::string open(std::string_view sealed, std::string_view context) const;

 private:
  struct Octets;
  explicit JobKey(std::shared_ptr<const Octets> octets) : octets_(std::move(octets)) {}
  std::shared_ptr<const Octets> octets_;
};

}  // namespace tidegate
