/// Server-sent events: reading them from pieces of any size, and writing them.
///
///     http::SseParser parser([&](const http::SseEvent& e) { use(e.type, e.data); });
///     client.stream(request, onHead, [&](std::string_view piece) { parser.feed(piece); return true; });
///
/// Origin: WHATWG HTML, section 9.2 "Server-sent events".
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace tidegate::http {

struct SseEvent {
  std::string type{};  ///< "message" where the stream names none
  std::string data{};  ///< lines joined by '\n'
  std::string id{};    ///< the last id seen, also of earlier events
};

/// Splits a stream into events. Lines end in CR, LF or CRLF, however the pieces fall; a byte order mark is skipped; an
/// event that the stream's end cuts is not told.
/// @thread One at a time.
class SseParser {
 public:
  /// @param maxEventBytes bound on one event's data and on one line.
  explicit SseParser(std::function<void(const SseEvent& event)> onEvent, std::size_t maxEventBytes = 64u << 20);
  /// @throws Error{parseError} for an event over its bound, and whatever the callback throws.
  void feed(std::string_view piece);
  /// Forgets a half-read event, for a new connection. The last id and `retry` stay.
  void reset();
  const std::string& lastId() const noexcept { return lastId_; }
  /// What the stream last said of the pause before a new connection.
  std::optional<std::chrono::milliseconds> retry() const noexcept { return retry_; }

 private:
  void line(std::string_view text);
  void dispatch();

  std::function<void(const SseEvent& event)> onEvent_;
  std::size_t maxEventBytes_;
  std::string line_;
  std::string data_;
  std::string type_;
  std::string lastId_;
  std::string nextId_;
  std::optional<std::chrono::milliseconds> retry_;
  bool hasData_ = false;
  bool afterCr_ = false;
  bool begun_ = false;
};

/// Appends one event: `type` where it is not empty, `data` line by line (CR, LF and CRLF each end a line), `id` where
/// given, and the empty line.
void appendSse(std::string& out, std::string_view type, std::string_view data, std::string_view id = {});

}  // namespace tidegate::http
