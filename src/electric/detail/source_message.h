/// What a shape's server says: messages about rows and about the stream, from the JSON of an answer or of an event.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::electric::reading {

/// A column's value as text; nullopt: null.
struct WireCell {
  std::string column{};
  std::optional<std::string> text{};
  bool operator==(const WireCell&) const = default;
};

enum class WireKind : std::uint8_t {
  insert,
  update,
  erase,
  upToDate,     ///< everything that the server had was sent
  mustRefetch,  ///< this log has ended
  other         ///< a control message that asks nothing of us
};

struct WireMessage {
  WireKind kind = WireKind::other;
  std::string key{};  ///< the row's, as the server builds it
  std::vector<WireCell> value{};
  std::vector<WireCell> oldValue{};  ///< of an update, `replica=full`
  bool hasOldValue = false;
  std::optional<std::int64_t> lsn{};        ///< of the transaction; none for rows of a snapshot
  std::optional<std::uint64_t> position{};  ///< in the transaction
  bool last = false;                        ///< the last of the transaction in this shape
  std::uint64_t transactionId = 0;          ///< the first of `txids`
  std::string keyChangeTo{};                ///< of an erase whose row goes on under another key
  std::string keyChangeFrom{};              ///< of the insert that goes with it
  std::optional<std::int64_t> seenLsn{};    ///< of `upToDate`: how far the server had come
  std::string control{};                    ///< of `other`

  bool isRow() const noexcept { return kind <= WireKind::erase; }
};

/// Calls `take` for each message of a JSON array (or for the one that an event holds), which it may move from.
/// @throws Error{parseError} naming the member ("[3].headers.operation: …"), Error{typeUnsupported} for shapes with
///         subqueries, whose rows come and go by tags that only a client which keeps all of them can follow.
void readMessages(std::string_view json, const std::function<void(WireMessage& message)>& take);

/// A number that tells a message from others: FNV-1a of kind, key and values; never 0.
std::uint32_t markOf(const WireMessage& message) noexcept;

}  // namespace tidegate::electric::reading
