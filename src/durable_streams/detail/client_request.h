/// From what a client was told to one HTTP request: headers and parameters asked for, the query in its one order.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/durable_streams/request_options.h"
#include "tidegate/http/client.h"

namespace tidegate::durable_streams::detail {

/// Names of fields and parameters on the wire (PROTOCOL.md, section 13.2).
namespace wire {
inline constexpr std::string_view kNextOffset = "stream-next-offset";
inline constexpr std::string_view kUpToDate = "stream-up-to-date";
inline constexpr std::string_view kClosed = "stream-closed";
inline constexpr std::string_view kCursor = "stream-cursor";
inline constexpr std::string_view kSeq = "stream-seq";
inline constexpr std::string_view kTtl = "stream-ttl";
inline constexpr std::string_view kExpiresAt = "stream-expires-at";
inline constexpr std::string_view kForkedFrom = "stream-forked-from";
inline constexpr std::string_view kForkOffset = "stream-fork-offset";
inline constexpr std::string_view kForkSubOffset = "stream-fork-sub-offset";
inline constexpr std::string_view kSseEncoding = "stream-sse-data-encoding";
inline constexpr std::string_view kProducerId = "producer-id";
inline constexpr std::string_view kProducerEpoch = "producer-epoch";
inline constexpr std::string_view kProducerSeq = "producer-seq";
inline constexpr std::string_view kExpectedSeq = "producer-expected-seq";
inline constexpr std::string_view kReceivedSeq = "producer-received-seq";
}  // namespace wire

using Query = std::vector<std::pair<std::string, std::string>>;

/// What is asked, before headers and parameters are computed.
struct Ask {
  std::string method = "GET";
  std::string url{};
  Query query{};            ///< the protocol's parameters; they win over others of their name
  http::Headers headers{};  ///< the protocol's; they win likewise
  std::string body{};
  std::chrono::milliseconds timeout{30'000};
  std::chrono::milliseconds idleTimeout{0};
  std::size_t maxBodyBytes = 64u << 20;
  bool repeatable = false;
};

/// Calls the functions among `fields`, each list in its order; later lists and entries win.
/// The query is sorted by name, as section 10 asks for caches' sake.
http::ClientRequest makeRequest(const Ask& ask, const std::vector<const RequestFields*>& headers,
                                const std::vector<const RequestFields*>& params);

/// Whether a field says "true", in any case; other values count as absent (section 4.1).
bool saysTrue(const http::Headers& headers, std::string_view name);

/// "http://host/a?b=c" is "http://host/a".
std::string withoutQuery(std::string_view url);

/// Whether it is application/json, whatever its parameters.
bool isJsonType(std::string_view contentType);

}  // namespace tidegate::durable_streams::detail
