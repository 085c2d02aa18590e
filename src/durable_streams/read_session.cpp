#include "durable_streams/detail/read_session.h"

#include "core/detail/json_tree.h"
#include "durable_streams/detail/base64_decode.h"

namespace tidegate::durable_streams {

std::vector<std::string_view> Chunk::messages() const {
  std::vector<std::string_view> all;
  const std::string_view text = data;
  if (!json) {
    if (!text.empty()) all.push_back(text);
    return all;
  }
  all.reserve(spans.size());
  for (const auto& [begin, length] : spans) all.push_back(text.substr(begin, length));
  return all;
}

namespace detail {
namespace {

constexpr std::size_t kLongestOffset = 4096;
constexpr std::size_t kControlDepth = 16;

bool isSentinel(std::string_view offset) { return offset == kStreamStart || offset == kStreamNow; }

std::string optionalText(const tidegate::detail::JsonRef& object, std::string_view name) {
  const auto member = object.find(name);
  return member && !member->isNull() ? member->string() : std::string();
}

bool optionalFlag(const tidegate::detail::JsonRef& object, std::string_view name) {
  const auto member = object.find(name);
  return member && !member->isNull() && member->boolean();
}

}  // namespace

bool isServerOffset(std::string_view offset) noexcept {
  if (offset.empty() || offset.size() > kLongestOffset || isSentinel(offset)) return false;
  for (const char c : offset) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) return false;
    if (c == ',' || c == '&' || c == '=' || c == '?' || c == '/') return false;
  }
  return true;
}

Control parseControl(std::string_view json) {
  const tidegate::detail::JsonTree tree(json, kControlDepth);
  const tidegate::detail::JsonRef root = tree.root();
  Control control{.nextOffset = root.member("streamNextOffset").string(),
                  .cursor = optionalText(root, "streamCursor"),
                  .upToDate = optionalFlag(root, "upToDate"),
                  .closed = optionalFlag(root, "streamClosed")};
  if (!isServerOffset(control.nextOffset)) root.member("streamNextOffset").fail("no offset that a server may give");
  return control;
}

ReadSession::ReadSession(ReadOptions options, std::string url)
    : options_(std::move(options)), url_(std::move(url)), offset_(options_.offset) {
  if (!isSentinel(offset_) && (offset_.empty() || offset_.size() > kLongestOffset)) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "ReadOptions::offset: empty or over 4,096 octets; use kStreamStart, kStreamNow or a nextOffset");
  }
  if (!options_.ifNoneMatch.empty() && options_.live != Live::no) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "ReadOptions::ifNoneMatch is only for Live::no");
  }
  // Nothing to catch up with: the first request waits already. An event stream does not tell the content type, so it
  // is asked for the ordinary way first.
  if (offset_ == kStreamNow && options_.live == Live::longPoll) mode_ = Mode::longPoll;
}

Ask ReadSession::want() const {
  Ask ask{.url = url_, .query = {{"offset", offset_}}, .maxBodyBytes = options_.maxChunkBytes, .repeatable = true};
  if (mode_ == Mode::catchUp) {
    if (!options_.ifNoneMatch.empty() && answers_ == 0) ask.headers.set("if-none-match", options_.ifNoneMatch);
    return ask;
  }
  ask.query.emplace_back("live", mode_ == Mode::events ? "sse" : "long-poll");
  if (!cursor_.empty()) ask.query.emplace_back("cursor", cursor_);
  if (mode_ == Mode::events) ask.headers.set("accept", "text/event-stream");
  ask.timeout = std::chrono::milliseconds(0);
  ask.idleTimeout = options_.silence;
  return ask;
}

std::string ReadSession::checkedOffset(std::string_view offset, int status) const {
  if (offset.empty()) throw badAnswer(asked(), "the answer has no Stream-Next-Offset", status);
  if (!isServerOffset(offset)) throw badAnswer(asked(), "the answer's Stream-Next-Offset is no offset", status);
  return std::string(offset);
}

void ReadSession::answer(http::Response response) {
  news_ = false;
  if (response.status == 304 && !options_.ifNoneMatch.empty() && answers_ == 0) {
    notModified_ = ended_ = true;
    return;
  }
  if (response.status != 200 && response.status != 204) throw refusal(asked(), response);
  const http::Headers& headers = response.headers;
  Control control{.nextOffset = checkedOffset(headers.get(wire::kNextOffset), response.status),
                  .cursor = std::string(headers.get(wire::kCursor)),
                  .upToDate = headers.has(wire::kUpToDate) && saysTrue(headers, wire::kUpToDate),
                  .closed = saysTrue(headers, wire::kClosed)};
  if (response.status == 200 && !headers.get("content-type").empty()) {
    contentType_ = headers.get("content-type");
    json_ = isJsonType(contentType_);
  }
  // A server that forgets to say so: nothing more behind where it was asked.
  if (response.body.empty() && control.nextOffset == offset_) control.upToDate = true;
  MessageSpans spans;
  if (json_) {
    try {
      joiner_.add(checker_, std::move(response.body));
      std::tie(response.body, spans) = joiner_.take();
    } catch (const Error& e) {
      joiner_.clear();
      throw badAnswer(asked(), e.message(), response.status);
    }
  }
  etag_ = answers_++ == 0 && (control.upToDate || control.closed) ? headers.get("etag") : "";
  advance(std::move(control), std::move(response.body), std::move(spans));
}

/// What was read is told; where it was the last of it, what follows is begun.
void ReadSession::advance(Control control, std::string data, MessageSpans spans) {
  if (!isSentinel(offset_) && control.nextOffset < offset_) {
    throw StreamError(StreamFailure::gone, ErrorCode::positionLost, Retry::never,
                      "GET " + redactSecrets(withoutQuery(url_)) + ": the stream's offset went back from " + offset_ +
                          " to " + control.nextOffset + "; another stream may stand at this URL now",
                      {.method = "GET", .url = redactSecrets(withoutQuery(url_)), .offset = offset_});
  }
  const bool moved = control.nextOffset != offset_;
  if (!moved && !data.empty()) throw badAnswer(asked(), "data came without a new offset, so it would come for ever");
  offset_ = control.nextOffset;
  if (!control.cursor.empty()) cursor_ = std::move(control.cursor);
  control.upToDate = control.upToDate || control.closed;
  if (!data.empty() || moved) news_ = true;
  if (!data.empty() || control.closed || (control.upToDate && !upToDate_)) {
    chunks_.push_back({.data = std::move(data),
                       .nextOffset = offset_,
                       .upToDate = control.upToDate,
                       .closed = control.closed,
                       .json = json_,
                       .spans = std::move(spans)});
    upToDate_ = control.upToDate;
  }
  if (control.closed || (control.upToDate && options_.live == Live::no)) {
    ended_ = true;
  } else if (control.upToDate && mode_ == Mode::catchUp) {
    goLive();
  }
}

void ReadSession::goLive() { mode_ = options_.live == Live::longPoll ? Mode::longPoll : Mode::events; }

void ReadSession::leaveEvents() {
  if (mode_ == Mode::events) mode_ = Mode::longPoll;
}

void ReadSession::beginEvents(const http::Response& head) {
  if (head.status != 200) throw refusal(asked(), head);
  if (!std::string_view(head.headers.get("content-type")).starts_with("text/event-stream")) {
    throw badAnswer(asked(),
                    "expected an event stream, got content type \"" +
                        std::string(head.headers.get("content-type").substr(0, 100)) + "\"",
                    head.status);
  }
  base64_ = head.headers.get(wire::kSseEncoding) == "base64";
  news_ = false;
  endEvents();
}

void ReadSession::endEvents() {
  joiner_.clear();
  data_.clear();
}

void ReadSession::event(const http::SseEvent& event) {
  if (ended_) return;
  try {
    if (event.type == "data") {
      dataEvent(event.data);
    } else if (event.type == "control") {
      controlEvent(event.data);
    }  // others are for clients of later protocols
  } catch (const StreamError&) {
    throw;
  } catch (const Error& e) {
    throw badAnswer(asked(), "in the " + event.type + " event: " + e.message());
  }
}

void ReadSession::dataEvent(std::string_view text) {
  std::string octets;
  if (base64_) {
    auto decoded = decodeBase64Lines(text);
    if (!decoded) throw badAnswer(asked(), "a data event is not the base64 that its stream promised");
    octets = *std::move(decoded);
  } else {
    octets = text;
  }
  if (octets.size() + data_.size() + joiner_.bytes() > options_.maxChunkBytes) {
    throw badAnswer(asked(), "more than " + std::to_string(options_.maxChunkBytes) +
                                 " octets came without a control event; raise maxChunkBytes");
  }
  if (json_) {
    joiner_.add(checker_, std::move(octets));
  } else {
    data_ += octets;
  }
}

void ReadSession::controlEvent(std::string_view text) {
  Control control = parseControl(text);
  MessageSpans spans;
  std::string data = std::move(data_);
  data_.clear();
  if (json_) std::tie(data, spans) = joiner_.take();
  advance(std::move(control), std::move(data), std::move(spans));
}

std::optional<Chunk> ReadSession::take() {
  if (chunks_.empty()) return std::nullopt;
  Chunk chunk = std::move(chunks_.front());
  chunks_.pop_front();
  return chunk;
}

}  // namespace detail
}  // namespace tidegate::durable_streams
