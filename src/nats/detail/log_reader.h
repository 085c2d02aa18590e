/// Reads a stream's messages from a place on, without a gap, through a consumer of its own.
#pragma once

#include <cstdint>
#include <string>

#include "nats/detail/jetstream.h"

namespace tidegate::nats::detail {

/// What the subject that a consumer delivers under says of a message.
struct Delivery {
  std::uint64_t sequence = 0;  ///< in the stream
  std::uint64_t pending = 0;   ///< messages that wait behind it
};
/// @return false: it is none of a consumer's.
bool deliveryFrom(std::string_view reply, Delivery& out) noexcept;

/// Whether a status says that a request for messages is over, by its time, octets or messages ("409 Batch Completed",
/// from nats-server 2.10 on), while the consumer lives.
/// @param left the status's `Nats-Pending-Messages`: where the consumer is gone, there is none.
bool endsRequest(std::string_view status, std::string_view left) noexcept;

struct LogReaderOptions {
  std::size_t batch = 2'000;           ///< messages asked for at once
  std::size_t batchBytes = 16u << 20;  ///< likewise
  std::string subject{};               ///< only messages on it; then nobody notices a gap. Empty: all
  /// Without a message for so long, it looks whether there is none. A consumer whose server was frozen or cut off may
  /// live on, say so every second, and bring nothing any more.
  std::chrono::milliseconds stalled{3'000};
};

/// @thread One at a time.
class LogReader {
 public:
  using Options = LogReaderOptions;
  /// Reads what follows `after`. @throws Error
  LogReader(JetStream& js, std::string stream, std::uint64_t after, Options options = {});
  ~LogReader();
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  /// The next message; null where none came within `wait`.
  /// @throws Error{positionLost, Retry::afterOperator} where messages that should follow are gone;
  ///         Error{connectionFailed, Retry::later} where the consumer or the connection is, or where the consumer
  ///         does not bring what the stream's leader holds: make another reader.
  Msg next(std::chrono::milliseconds wait);
  /// Of the last message that `next` gave; before the first: `after`.
  std::uint64_t sequence() const noexcept { return sequence_; }
  /// How many messages waited behind it.
  std::uint64_t pending() const noexcept { return pending_; }

 private:
  void ask();
  /// Takes a status of the server's. @throws Error where the consumer is gone.
  void takeStatus(natsMsg* msg, std::string_view status);
  [[noreturn]] void refuseGap(std::uint64_t found);
  /// Looks, once in a while, whether nothing comes because nothing is there. @throws Error where it is not so.
  void requireProgress(std::chrono::microseconds now);

  JetStream& js_;
  const std::string stream_;
  const Options options_;
  const std::string inbox_;
  const std::uint64_t connected_;  ///< how often the connection had been made anew
  Subscription messages_;
  std::string consumer_;
  std::uint64_t sequence_;
  std::uint64_t pending_ = 0;
  std::uint64_t asked_ = 0;  ///< messages that the server may still send without being asked again
  std::chrono::microseconds heard_{0};
  std::chrono::microseconds brought_{0};  ///< when the last message came, or when we last looked why none does
  std::uint64_t owed_ = 0;                ///< what the stream's leader held then
};

}  // namespace tidegate::nats::detail
