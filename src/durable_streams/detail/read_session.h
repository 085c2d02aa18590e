/// What a reader knows and what it asks next: a machine without connections, fed with answers and events.
///
///     while (!session.ended()) {
///       ask(session.want());             // then, for event streams: beginEvents, event…, endEvents; else: answer
///       while (auto chunk = session.take()) …
///     }
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "durable_streams/detail/client_failure.h"
#include "durable_streams/detail/client_request.h"
#include "durable_streams/detail/json_messages.h"
#include "tidegate/durable_streams/reader.h"
#include "tidegate/http/sse.h"

namespace tidegate::durable_streams::detail {

/// A control event's members (PROTOCOL.md, section 5.8).
struct Control {
  std::string nextOffset{};
  std::string cursor{};
  bool upToDate = false;
  bool closed = false;
};

/// @throws Error{parseError} where it is no JSON object, or has no usable offset.
Control parseControl(std::string_view json);

/// Whether a server may hand out such an offset (section 8): not empty, none of `,&=?/`, no sentinel, no control
/// character, of bounded length.
bool isServerOffset(std::string_view offset) noexcept;

/// @thread One at a time.
class ReadSession {
 public:
  enum class Mode { catchUp, longPoll, events };

  ReadSession(ReadOptions options, std::string url);

  Mode mode() const noexcept { return mode_; }
  /// The stream is closed, or was read to its end without live reading, or is as `ifNoneMatch` said.
  bool ended() const noexcept { return ended_; }
  /// The request that continues from where the session stands.
  Ask want() const;
  Asked asked() const { return {.method = "GET", .url = url_, .repeatable = true}; }

  /// A whole answer to a catch-up or long poll. @throws StreamError for a refusal, or an answer that is none; the
  /// session then stands where it stood.
  void answer(http::Response response);
  /// The head of an event stream. @throws as `answer`.
  void beginEvents(const http::Response& head);
  /// @throws StreamError{badAnswer}.
  void event(const http::SseEvent& event);
  /// The event stream ended, for whatever reason: what no control event had covered is forgotten, and comes again.
  void endEvents();
  /// Whether the last answer, or the event stream that began last, brought data or another offset.
  bool broughtNews() const noexcept { return news_; }
  /// Live::automatic: long polls from now on.
  void leaveEvents();

  /// Chunks in order.
  std::optional<Chunk> take();
  bool hasChunk() const noexcept { return !chunks_.empty(); }
  const std::string& contentType() const noexcept { return contentType_; }
  const std::string& etag() const noexcept { return etag_; }
  bool notModified() const noexcept { return notModified_; }
  const ReadOptions& options() const noexcept { return options_; }

 private:
  void advance(Control control, std::string data, MessageSpans spans);
  void goLive();
  void dataEvent(std::string_view text);
  void controlEvent(std::string_view text);
  std::string checkedOffset(std::string_view offset, int status) const;

  ReadOptions options_;
  std::string url_;
  Mode mode_ = Mode::catchUp;
  std::string offset_;
  std::string cursor_;
  std::string contentType_;
  std::string etag_;
  bool json_ = false;
  bool upToDate_ = false;  ///< as the last chunk said
  bool ended_ = false;
  bool notModified_ = false;
  bool base64_ = false;
  bool news_ = false;
  std::size_t answers_ = 0;
  JsonChecker checker_;
  MessageJoiner joiner_;  ///< data events of a JSON stream before their control event
  std::string data_;      ///< the same of another
  std::deque<Chunk> chunks_;
};

}  // namespace tidegate::durable_streams::detail
