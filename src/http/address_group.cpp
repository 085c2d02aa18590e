#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "tidegate/http/message.h"

namespace tidegate::http {

std::string addressGroup(std::string_view address) {
  const std::string text(address.substr(0, std::min(address.find('%'), address.size())));  // without a zone
  std::array<char, 16> octets{};
  if (inet_pton(AF_INET, text.c_str(), octets.data()) == 1) return {octets.data(), 4};
  if (inet_pton(AF_INET6, text.c_str(), octets.data()) != 1) return std::string(address);
  static constexpr std::array<char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '\xff', '\xff'};
  if (std::equal(kMapped.begin(), kMapped.end(), octets.begin())) return {octets.data() + 12, 4};
  return {octets.data(), 8};
}

}  // namespace tidegate::http
