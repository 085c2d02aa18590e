/// Which addresses belong to the public internet.
#pragma once

#include <sys/socket.h>

namespace tidegate::http::detail {

/// Whether packets to this address leave the local networks: no private, shared, loopback, link-local, multicast,
/// documentation or reserved one (IANA's special-purpose registries), nor one of these inside an IPv6 address.
bool isPublicAddress(const sockaddr* address, socklen_t size) noexcept;

}  // namespace tidegate::http::detail
