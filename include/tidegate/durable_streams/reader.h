/// Reading a durable stream: what there is, and then what comes, from any offset, across reconnections.
///
///     Reader reader = client.stream("/orders").reader({.offset = saved, .live = Live::automatic});
///     while (auto chunk = reader.next(std::chrono::seconds(30))) {
///       for (std::string_view message : chunk->messages()) use(message);
///       save(chunk->nextOffset);  // read from here next time
///     }
///
/// Each chunk arrives once and in order. A connection that breaks, an answer that is cut, a 503: the reader asks again
/// from the last offset that it has told.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "tidegate/durable_streams/request_options.h"

namespace tidegate::durable_streams {

/// What follows once all that is there has been read.
enum class Live {
  no,         ///< nothing: the reader has ended
  longPoll,   ///< requests that the server answers when there is something
  sse,        ///< one connection on which the server sends events
  automatic,  ///< server-sent events; long polls where they keep breaking at once
};

inline constexpr std::string_view kStreamStart = "-1";  ///< the first octet
inline constexpr std::string_view kStreamNow = "now";   ///< the end as it is when the server is asked

struct ReadOptions {
  std::string offset{kStreamStart};  ///< kStreamStart, kStreamNow, or a `nextOffset` that was told before
  Live live = Live::no;
  /// Bound on one chunk: an answer's body, or the data before one control event. Over it: badAnswer.
  std::size_t maxChunkBytes = 64u << 20;
  /// How long a silent server is believed on a live connection, before a new one is made.
  std::chrono::milliseconds silence{90'000};
  /// Only where `live` is no: an `etag` of an earlier read from the same offset. Unchanged: `notModified`.
  std::string ifNoneMatch{};
  RequestFields headers{};  ///< added to the client's
  RequestFields params{};
};

/// A piece of a stream.
struct Chunk {
  /// Octets as they were written. A JSON stream: one array of the messages.
  std::string data{};
  std::string nextOffset{};  ///< continues after this chunk; to be kept with what the chunk led to
  bool upToDate = false;     ///< this was all, for now
  bool closed = false;       ///< this was all, for ever
  bool json = false;

  /// A JSON stream's messages, each exactly as it was written. Elsewhere: the data as one message, where there is any.
  std::vector<std::string_view> messages() const;
  /// Begin and length of each message in `data`; only for a JSON stream.
  std::vector<std::pair<std::size_t, std::size_t>> spans{};
};

/// Where a read ended.
struct ReadEnd {
  std::string offset{};       ///< after the last chunk that was taken
  bool upToDate = false;      ///< as the last chunk said
  bool closed = false;        ///< the stream has ended there
  bool notModified = false;   ///< 304: what `ifNoneMatch` names is what there is
  std::string contentType{};  ///< the stream's, as far as it was told
  std::string etag{};         ///< of a read that was one answer; else empty
};

struct ReaderStats {
  std::uint64_t requests = 0;    ///< sent, whatever became of them
  std::uint64_t retries = 0;     ///< after a failure
  std::uint64_t reconnects = 0;  ///< of an event stream that the server ended, or that broke
  std::uint64_t bytes = 0;       ///< of data in chunks that were told
  int lastStatus = 0;            ///< of the last answer; 0 before the first
};

namespace detail {
class ReaderImpl;
}

/// One place in one stream. Holds connections of its own, apart from the client it came from.
/// @thread One at a time. Works inside `next` alone: while nobody calls it, the server waits.
class Reader {
 public:
  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  /// The next chunk: one with data, or an empty one that says for the first time that the reader is up to date, or that
  /// the stream is closed.
  /// @param timeout zero: only what can be had without waiting.
  /// @return nullopt when there was none in time, when stopped, and when the reader has ended; `ended` tells which.
  /// @throws StreamError once retrying is over. The reader stays where it was: `next` tries again from there.
  std::optional<Chunk> next(std::chrono::milliseconds timeout, std::stop_token stop = {});

  /// Nothing will come any more: the stream is closed, or was read to its end with Live::no.
  bool ended() const noexcept;
  /// Where it stands: after the last chunk that `next` gave.
  const ReadEnd& place() const noexcept;
  const std::string& offset() const noexcept { return place().offset; }
  ReaderStats stats() const noexcept;

 private:
  friend class DurableStream;
  explicit Reader(std::unique_ptr<detail::ReaderImpl> impl) noexcept;
  std::unique_ptr<detail::ReaderImpl> impl_;
};

}  // namespace tidegate::durable_streams
