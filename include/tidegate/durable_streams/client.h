/// A client for Durable Streams servers: create, append, read, close, delete and fork streams over HTTP.
///
///     DurableStreamClient client({.url = "http://127.0.0.1:4437/v1/stream",
///                                 .headers = {{"authorization", [&] { return "Bearer " + token(); }}}});
///     DurableStream orders = client.stream("/orders");
///     orders.create({.contentType = "application/json"});
///     orders.append(R"({"id": 1})");
///     orders.read({}, [](Chunk&& chunk) { for (auto m : chunk.messages()) use(m); return true; });
///
/// `Producer` writes exactly once and fast; `Reader` reads by pull. Origin: the protocol and the clients of
/// durable-streams; differs in that a plain append is never repeated where it may have happened.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>

#include "tidegate/durable_streams/producer.h"
#include "tidegate/durable_streams/reader.h"
#include "tidegate/durable_streams/request_options.h"
#include "tidegate/durable_streams/stream_error.h"
#include "tidegate/http/client.h"

namespace tidegate::durable_streams {

struct DurableStreamClientOptions {
  std::string url{};        ///< what stream paths are appended to; http or https
  RequestFields headers{};  ///< of every request
  RequestFields params{};   ///< of every request
  RetryOptions retry{};
  std::chrono::milliseconds timeout{30'000};  ///< of one request; live reads have none
  /// TLS, connect timeout, connections, clock and scheduler. Its own retries are not used.
  http::ClientOptions http{};
};

/// What a stream says of itself.
struct StreamHead {
  bool created = false;  ///< by this very request
  std::string offset{};  ///< its end
  std::string contentType{};
  bool closed = false;
  std::optional<std::chrono::seconds> ttl{};  ///< since the last read or write
  std::string expiresAt{};                    ///< RFC 3339, as the server writes it
};

struct CreateOptions {
  std::string contentType = "application/octet-stream";
  std::optional<std::chrono::seconds> ttl{};  ///< gone when neither read nor written for so long
  std::string expiresAt{};                    ///< RFC 3339; not beside `ttl`
  std::optional<std::string> first{};         ///< first content: octets, or one JSON document as one message
  bool closed = false;                        ///< `first` is all there will ever be
};

struct ForkOptions {
  std::string offset{};         ///< where the fork leaves this stream; empty: its end
  std::uint64_t subOffset = 0;  ///< further on, within one append: messages of a JSON stream, octets of another
  std::string contentType{};    ///< empty: this stream's
  std::optional<std::chrono::seconds> ttl{};
  std::string expiresAt{};
};

/// By which a server knows an append again: repeating it appends nothing.
struct WriteStamp {
  std::string producerId{};
  std::uint64_t epoch = 0;
  std::uint64_t seq = 0;  ///< 0 first, then one more for each append of that epoch
};

struct AppendOptions {
  std::string contentType{};          ///< empty: as learned from `create`, `head`, or by asking the server once
  std::string seq{};                  ///< Stream-Seq: must be greater, octet by octet, than the last one
  std::optional<WriteStamp> stamp{};  ///< makes the append safe to repeat
  RequestFields headers{};
};

struct Appended {
  std::string offset{};    ///< the stream's end after it
  bool duplicate = false;  ///< only with a stamp: it was there already
  bool closed = false;
  std::optional<std::uint64_t> producerSeq{};  ///< only with a stamp: the highest that the server accepted
};

struct CloseOptions {
  std::optional<std::string> last{};  ///< appended in the same step
  std::string contentType{};          ///< as AppendOptions
  std::optional<WriteStamp> stamp{};
};

namespace detail {
class Session;
}

/// One stream, by its URL. Making one asks nothing of the server; copies are the same stream.
/// @thread One at a time, together with its client and the client's other streams. Readers and producers are apart.
/// @throws All calls: StreamError, with what the server said; Error{queryCancelled} when stopped.
class DurableStream {
 public:
  const std::string& url() const noexcept { return url_; }

  /// Makes the stream, or finds one of the same kind.
  /// @throws StreamError{exists} where there is one of another kind.
  StreamHead create(const CreateOptions& options = {}, std::stop_token stop = {});
  /// @throws StreamError{notFound, gone}.
  StreamHead head(std::stop_token stop = {});
  /// As `head`; nullopt where there is no such stream.
  std::optional<StreamHead> find(std::stop_token stop = {});
  /// Deletes it. @return false where there was none.
  bool remove(std::stop_token stop = {});
  /// Makes `target` (a path or URL on the same server) a stream with this one's content up to an offset.
  DurableStream fork(std::string_view target, const ForkOptions& options = {}, std::stop_token stop = {});

  /// Appends one message. A JSON stream: one JSON document; an array stays one message.
  /// @throws StreamError{closed, sequenceConflict, conflict, staleEpoch, producerGap, ...}; with Retry::outcomeUnknown
  /// where it may have been appended and carried no stamp. Error{invalidArgument} for an empty message or bad JSON.
  Appended append(std::string_view message, const AppendOptions& options = {}, std::stop_token stop = {});
  /// Appends several messages in one request: all or none.
  Appended append(std::span<const std::string> messages, const AppendOptions& options = {}, std::stop_token stop = {});
  /// Ends the stream for good. Closing a closed one is no error, unless there is a last message without a stamp.
  Appended close(const CloseOptions& options = {}, std::stop_token stop = {});

  /// Reads on this thread until the stream or the read ends, `onChunk` returns false, or it is stopped.
  /// @throws StreamError as `Reader::next`.
  ReadEnd read(const ReadOptions& options, const std::function<bool(Chunk&& chunk)>& onChunk,
               std::stop_token stop = {});
  Reader reader(ReadOptions options = {}) const;
  /// @throws Error{invalidConfig} for options that cannot work.
  Producer producer(ProducerOptions options) const;

 private:
  friend class DurableStreamClient;
  DurableStream(std::shared_ptr<detail::Session> session, std::string url);
  const std::string& contentTypeOr(const std::string& given, const std::stop_token& stop);
  Appended post(std::string body, const std::string& contentType, const AppendOptions& options, bool closing,
                const std::stop_token& stop);

  std::shared_ptr<detail::Session> session_;
  std::string url_;
  std::string contentType_;  // as far as it was learned
};

/// @thread One at a time, together with its streams. Give each thread a client of its own.
class DurableStreamClient {
 public:
  /// @throws Error{invalidConfig} for a URL that is none, or retries that cannot work.
  explicit DurableStreamClient(DurableStreamClientOptions options);

  /// @param path appended to the client's URL as it is, percent-encoded by the caller; or a whole URL.
  DurableStream stream(std::string_view path) const;

 private:
  std::shared_ptr<detail::Session> session_;
};

}  // namespace tidegate::durable_streams
