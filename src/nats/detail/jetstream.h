/// JetStream's API as far as this driver needs it: streams, single messages, consumers. Every call goes to the stream's
/// leader, and waits for one to be elected.
#pragma once

#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "nats/detail/connection.h"

namespace tidegate::nats::detail {

// Error codes of the JetStream API (server/errors.json).
inline constexpr int kWrongLastSequence = 10071;
inline constexpr int kWrongLastId = 10070;
inline constexpr int kNoMessage = 10037;
inline constexpr int kNoStream = 10059;
inline constexpr int kNoConsumer = 10014;

/// A refusal of the API.
struct ApiError {
  int code = 0;       ///< as HTTP's
  int errorCode = 0;  ///< 0: no refusal
  std::string description{};
};

/// Whether it is no refusal for good: no leader, no quorum, a server that has just started.
bool isPassing(const ApiError& error) noexcept;
/// @throws Error that says the refusal; connectionFailed, Retry::later where the cluster has no leader.
[[noreturn]] void throwApiError(const ApiError& error, const std::string& what);

/// What a publish was answered.
struct PublishAck {
  std::uint64_t sequence = 0;  ///< 0: refused
  bool duplicate = false;
  ApiError error{};
};
/// @throws Error{parseError}
PublishAck parseAck(std::string_view json);

struct StreamInfo {
  std::uint64_t messages = 0, bytes = 0;
  std::uint64_t firstSequence = 0, lastSequence = 0;
  std::string created{};  ///< RFC 3339; another one: another stream of the same name
  std::string leader{};   ///< the server's name; empty: not clustered
  std::string subject{};  ///< its first subject, without ".>" at its end
  std::uint64_t replicas = 0;
  std::string version{};  ///< its leader's version; empty: a server before 2.11, which does not say
};

/// Whether its replicas are known to part where a leader is cut off and comes back: before 2.11, which is also the
/// first version that says which it is.
inline bool mayDiverge(const StreamInfo& stream) noexcept { return stream.replicas > 1 && stream.version.empty(); }

struct StreamSpec {
  std::string name{};
  std::vector<std::string> subjects{};
  StreamOptions options{};
  std::int64_t perSubject = 0;  ///< messages kept of each subject; 0: all
  bool denyDelete = false;
  bool allowRollup = false;
  bool discardNew = false;  ///< above `maxBytes` new messages are refused instead
};

/// A message as the stream holds it.
struct Stored {
  std::uint64_t sequence = 0;
  std::string subject{};
  std::string headers{};  ///< as on the wire
  std::string body{};

  /// Empty where there is none.
  std::string_view header(std::string_view name) const;
};

/// @thread Any.
class JetStream {
 public:
  explicit JetStream(Connection& connection) : connection_(connection) {}
  Connection& connection() const noexcept { return connection_; }

  /// nullopt: there is no such stream.
  std::optional<StreamInfo> find(const std::string& stream, const std::stop_token& stop = {});
  /// @throws Error{tableNotFound, Retry::afterOperator} where there is none.
  StreamInfo info(const std::string& stream, const std::stop_token& stop = {});
  /// Makes the stream where there is none and the options say so.
  StreamInfo ensure(const StreamSpec& spec, const std::stop_token& stop = {});
  void remove(const std::string& stream);

  std::optional<Stored> get(const std::string& stream, std::uint64_t sequence, const std::stop_token& stop = {});
  std::optional<Stored> last(const std::string& stream, const std::string& subject, const std::stop_token& stop = {});
  /// The first at or after `sequence` whose subject matches.
  std::optional<Stored> next(const std::string& stream, const std::string& subject, std::uint64_t sequence,
                             const std::stop_token& stop = {});
  /// The subjects that match and have messages.
  std::vector<std::string> subjects(const std::string& stream, const std::string& filter);
  /// Drops messages before `sequence` (0: all); with a subject only those that match.
  void purge(const std::string& stream, std::uint64_t before, const std::string& subject = {});

  /// A consumer that lives for a while without anybody asking. It delivers from `sequence` on. @return its name.
  std::string makeConsumer(const std::string& stream, std::uint64_t sequence, const std::string& subject = {});
  /// A consumer that tells the names of messages on `subject`, from now on, to whoever listens to `deliverTo`; it
  /// stays.
  void ensureWakes(const std::string& stream, const std::string& name, const std::string& subject,
                   const std::string& deliverTo);
  void removeConsumer(const std::string& stream, const std::string& consumer) noexcept;

 private:
  /// The answer's text; refusals through `throwApiError`, but those listed in `expected`, which give nullopt.
  std::optional<std::string> call(const std::string& subject, const std::string& body, Effect effect,
                                  const std::string& what, const std::vector<int>& expected,
                                  const std::stop_token& stop);
  std::optional<Stored> getBy(const std::string& stream, const std::string& body, const std::string& what,
                              const std::stop_token& stop);

  Connection& connection_;
};

/// A name as one token of a subject: all but letters, digits, '-' and '_' is written %XX. Also good for a stream's
/// name.
std::string subjectToken(std::string_view name);

}  // namespace tidegate::nats::detail
