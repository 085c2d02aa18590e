#include "http/detail/public_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

namespace tidegate::http::detail {
namespace {

struct Network4 {
  std::uint32_t address;
  unsigned bits;
};

// "This" network, private, shared, loopback, link-local (cloud metadata), protocol assignments, documentation, the
// 6to4 relay, benchmarks, multicast and reserved.
constexpr std::array<Network4, 15> kSpecial4{{{0x00000000, 8},
                                              {0x0A000000, 8},
                                              {0x64400000, 10},
                                              {0x7F000000, 8},
                                              {0xA9FE0000, 16},
                                              {0xAC100000, 12},
                                              {0xC0000000, 24},
                                              {0xC0000200, 24},
                                              {0xC0586300, 24},
                                              {0xC0A80000, 16},
                                              {0xC6120000, 15},
                                              {0xC6336400, 24},
                                              {0xCB007100, 24},
                                              {0xE0000000, 4},
                                              {0xF0000000, 4}}};

bool isPublic4(std::uint32_t address) noexcept {
  return std::none_of(kSpecial4.begin(), kSpecial4.end(), [&](const Network4& network) {
    return address >> (32 - network.bits) == network.address >> (32 - network.bits);
  });
}

using Octets6 = std::array<std::uint8_t, 16>;

std::uint32_t four(const Octets6& octets, std::size_t at) noexcept {
  std::uint32_t out = 0;
  for (std::size_t i = at; i < at + 4; ++i) out = out << 8 | octets[i];
  return out;
}

bool isPublic6(const Octets6& octets) noexcept {
  // NAT64 (RFC 6052) leads to the IPv4 address in its last octets.
  if (four(octets, 0) == 0x0064FF9B && four(octets, 4) == 0 && four(octets, 8) == 0) return isPublic4(four(octets, 12));
  if ((octets[0] & 0xE0) != 0x20) return false;  // outside 2000::/3, global unicast
  const std::uint32_t head = four(octets, 0);
  if (head >> 9 == 0x20010000 >> 9) return false;                                  // protocol assignments, Teredo
  if (head == 0x20010DB8 || head >> 12 == 0x3FFF0000 >> 12) return false;          // documentation
  if (head >> 16 == 0x2002) return isPublic4(head << 16 | four(octets, 4) >> 16);  // 6to4
  return true;
}

}  // namespace

bool isPublicAddress(const sockaddr* address, socklen_t size) noexcept {
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in four{};
    std::memcpy(&four, address, sizeof four);
    return isPublic4(ntohl(four.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 six{};
    std::memcpy(&six, address, sizeof six);
    Octets6 octets{};
    std::memcpy(octets.data(), &six.sin6_addr, octets.size());
    return isPublic6(octets);
  }
  return false;
}

}  // namespace tidegate::http::detail
