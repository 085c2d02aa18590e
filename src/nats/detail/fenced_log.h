/// Appends to a stream in order, each message expecting the one before it as the stream's last: so a writer notices the
/// first word of another one, and a message whose answer was lost is found again instead of being written twice.
///
///     FencedLog log(js, "S", {}, last);
///     log.append(messages, places);         // throws ForeignWrite where somebody else wrote meanwhile
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "nats/detail/jetstream.h"

namespace tidegate::nats::detail {

/// In every message that a FencedLog wrote: which one it is. No two messages of a stream share it.
inline constexpr const char* kMarkHeader = "Tidegate-Mark";
inline constexpr const char* kIdHeader = "Nats-Msg-Id";
inline constexpr const char* kExpectHeader = "Nats-Expected-Last-Sequence";
inline constexpr const char* kExpectIdHeader = "Nats-Expected-Last-Msg-Id";

struct OutMessage {
  std::string subject{};
  std::vector<Header> headers{};  ///< besides the three above
  std::string mark{};
  std::string id{};  ///< by which the server recognises a repetition; empty: none
  std::string body{};

  std::size_t bytes() const noexcept;
};

/// Where a message is.
struct Place {
  std::uint64_t sequence = 0;
  bool duplicate = false;  ///< a message with its id was there before, at that place
};

/// How messages follow each other.
///
/// Each expects a number as the stream's last. Where somebody else's message took the place of one under way, the next
/// finds the number that it expects, and is stored though the one before it was not: a stray. So what may not be there
/// without what comes before it must be sent in another way than `free`.
enum class Order {
  free,     ///< many under way; readers take strays for nothing
  chained,  ///< many under way; each expects the one before it by its id as well, which all but the last must have
  single    ///< one after the other
};

/// Somebody else's message stands where ours should: nothing of ours follows it.
struct ForeignWrite {
  std::uint64_t sequence = 0;
  std::string mark{};  ///< the other message's; empty: not of a FencedLog, or nobody looked
};

struct FencedLogOptions {
  std::size_t windowMessages = 4'096;  ///< not yet answered
  std::size_t windowBytes = 8u << 20;
  /// Whether a mark is that of a writer that was replaced: its strays are passed over. Null: none is.
  std::function<bool(std::string_view mark)> isStray{};
};

/// @thread One at a time.
class FencedLog {
 public:
  FencedLog(JetStream& js, std::string stream, FencedLogOptions options, std::uint64_t last);
  ~FencedLog();
  FencedLog(const FencedLog&) = delete;
  FencedLog& operator=(const FencedLog&) = delete;

  /// Called before message `i` is sent, perhaps again: it may write the message anew. `before` has the places of those
  /// before it; the first `settled` of them are certain, the others as they are expected to be.
  using BeforeSend =
      std::function<void(std::size_t i, const std::vector<Place>& before, std::size_t settled, OutMessage& message)>;
  /// Appends all messages. Nobody else's message stands between them.
  /// @throws ForeignWrite; Error{connectionFailed, Retry::later} where nothing was written, Retry::outcomeUnknown where
  ///         something may have been: `places` then holds what is known.
  void append(std::vector<OutMessage>& messages, std::vector<Place>& places, Order order, const std::stop_token& stop,
              const BeforeSend& beforeSend = {});

  /// Begins an append of messages that are still being made: so that making them and writing them overlap. `messages`
  /// may grow at its end until `finish`; those that `places` has already are taken as written. Both must outlive it.
  void begin(std::vector<OutMessage>& messages, std::vector<Place>& places, Order order, BeforeSend beforeSend);
  /// Sends all that came, and waits only for room. @throws as `append`
  void advance(const std::stop_token& stop);
  /// Waits until all are there. @throws as `append`
  void finish(const std::stop_token& stop);
  /// Lets go of what was begun, once the messages under way are answered or lost.
  void abandon() noexcept;
  /// The stream's last message, as far as this log knows.
  std::uint64_t last() const noexcept { return last_; }
  void setLast(std::uint64_t last) noexcept { last_ = last; }

 private:
  struct Window;
  bool hasRoom(const Window& window) const noexcept;
  void send(Window& window, bool atOnce);
  void receive(Window& window);
  void drain(Window& window);
  void settle(Window& window);
  /// Settles what was answered; where an answer was odd, finds out how things stand.
  void takeStock(Window& window, const std::stop_token& stop);
  /// After an odd answer: how far the stream really is, and which of the messages are in it.
  void resync(Window& window, const std::stop_token& stop);
  void adopt(Window& window, const StreamInfo& info, const std::stop_token& stop);
  void adoptRepeated(Window& window, const std::stop_token& stop);

  JetStream& js_;
  Connection& connection_;
  const std::string stream_;
  const FencedLogOptions options_;
  const std::string inbox_;
  Subscription answers_;
  std::uint64_t token_ = 0;  ///< of the next message sent
  std::uint64_t last_;
  std::unique_ptr<Window> window_;  ///< of the append under way
};

}  // namespace tidegate::nats::detail
