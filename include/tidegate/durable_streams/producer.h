/// Writing to a durable stream exactly once: batches, several of them under way at once, in strict order.
///
///     Producer orders = client.stream("/orders").producer({.id = "shop-1"});
///     for (const auto& line : lines) orders.append(line);
///     orders.flush(stop);            // returns when the server has all of it
///
/// The server knows each batch by (id, epoch, sequence). What is sent again because its answer was lost is not appended
/// again. A producer that starts anew writes with a higher epoch, and an older one that still lives is then refused.
/// Origin: PROTOCOL.md of durable-streams, section 5.2.1, which follows Kafka's idempotent producer.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::durable_streams {

/// Whether a producer takes its id over from another one whose epoch it does not know. An epoch that is taken is above
/// the other's, and drawn so that two who claim at the same time do not take the same one: a server would then hold
/// what one of them writes for a repetition of the other's.
enum class Claim {
  never,  ///< a higher epoch on the server, or a sequence that another life used, is an error
  first,  ///< before its first acknowledgement it takes the next epoch; from then on it yields to whoever does so
  always  ///< it takes its id back whenever another took it; two such producers quarrel for ever
};

/// What the server made durable.
struct Receipt {
  std::uint64_t first = 0;  ///< number of the first message, as `append` gave it
  std::uint64_t count = 0;
  std::string offset{};    ///< the stream's end after them; empty where the server tells none
  bool duplicate = false;  ///< it had them already
};

struct ProducerOptions {
  std::string id{};  ///< names the writer across restarts; not empty
  /// Grows with each start of that writer; at most 2^53 - 1. Where the host keeps none: the wall clock's microseconds,
  /// or, with Claim::never, 0.
  std::optional<std::uint64_t> epoch{};
  std::optional<Claim> claim{};          ///< empty: `first` without an epoch, `never` with one
  std::string contentType{};             ///< the stream's; empty: the server is asked once
  std::size_t maxBatchBytes = 1u << 20;  ///< a batch is sent once it has that many; a larger message goes alone
  std::size_t maxBatchMessages = 10'000;
  std::size_t maxInFlight = 5;             ///< batches sent and not answered; 1..64
  std::chrono::milliseconds linger{5};     ///< how long a small batch waits for company; zero: not at all
  std::size_t maxQueuedBytes = 16u << 20;  ///< not acknowledged yet; over it `append` waits
  /// A server that has more sequences of this epoch than this producer sent knows another life of it, and drops what
  /// this one sends. An error (or claimed), unless this says that all lives write the same.
  bool acceptForeignDuplicates = false;
  /// Called for each acknowledged batch, in order, inside the producer's calls.
  std::function<void(const Receipt& receipt)> onReceipt{};

  /// @throws Error{invalidConfig} naming the member.
  void validate() const;
};

struct ProducerStats {
  std::uint64_t messages = 0;      ///< taken by `append`
  std::uint64_t acknowledged = 0;  ///< of those, durable
  std::uint64_t batches = 0;       ///< acknowledged
  std::uint64_t requests = 0;      ///< sent
  std::uint64_t retries = 0;       ///< of those, again
  std::uint64_t duplicates = 0;    ///< batches that the server had already
  std::uint64_t claims = 0;        ///< epochs taken over
  std::size_t queuedBytes = 0;     ///< not acknowledged
  std::size_t inFlight = 0;        ///< batches
};

namespace detail {
class ProducerImpl;
}

/// One writer of one stream. Holds connections of its own, apart from the client it came from.
/// @thread One at a time. It has no thread: batches move on inside its calls, so call `poll` now and then, or `flush`.
class Producer {
 public:
  Producer(Producer&&) noexcept;
  Producer& operator=(Producer&&) noexcept;
  /// Drops what is not acknowledged: `flush`, `detach` or `close` first.
  ~Producer();

  /// Takes a message; sends what is due. For a JSON stream: one JSON document, which stays one message. Waits while
  /// the queue is full.
  /// @return its number, counted from 0.
  /// @throws Error{invalidArgument} for an empty message or one that is no JSON; Error{queryCancelled} when stopped in
  /// a full queue: it was not taken. StreamError as `flush`.
  std::uint64_t append(std::string_view message, std::stop_token stop = {});
  /// The same without waiting. nullopt: the queue is full.
  std::optional<std::uint64_t> tryAppend(std::string_view message);
  /// Sends what is due and takes answers, for up to `wait`; returns early once something was acknowledged.
  void poll(std::chrono::milliseconds wait = {}, std::stop_token stop = {});
  /// Sends everything and waits until it is acknowledged.
  /// @throws StreamError: `staleEpoch` (ErrorCode::fenced), `closed`, `producerGap`, `sequenceConflict` and other
  /// refusals with Retry::never or outcomeUnknown are final: every later call throws them again. `unreachable`,
  /// `unavailable` and `rateLimited` come once a batch's retries are used up, `notFound`, `unauthenticated` and
  /// `forbidden` at once; nothing is lost, and the next call goes on. Error{queryCancelled} when stopped; likewise.
  void flush(std::stop_token stop = {});
  /// Flushes, then closes the stream for good; with `last` in the same step. Repeated, it gives the same answer.
  Receipt close(std::optional<std::string_view> last = std::nullopt, std::stop_token stop = {});
  /// Flushes, and ends this producer. The stream stays open. Repeated, it does nothing.
  void detach(std::stop_token stop = {});

  /// Messages 0..n-1 are durable.
  std::uint64_t acknowledged() const noexcept;
  /// Messages that are not acknowledged, in order: what to hand to another producer after a final failure. Some of them
  /// may have been appended where the failure says outcomeUnknown.
  std::vector<std::string> unacknowledged() const;
  /// The epoch it writes with; greater than asked for where it claimed.
  std::uint64_t epoch() const noexcept;
  ProducerStats stats() const noexcept;

 private:
  friend class DurableStream;
  explicit Producer(std::unique_ptr<detail::ProducerImpl> impl) noexcept;
  std::unique_ptr<detail::ProducerImpl> impl_;
};

}  // namespace tidegate::durable_streams
