#include "tidegate/http/sse.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::http {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Error eventTooLarge(std::size_t bound) {
  return Error(ErrorCode::parseError, Retry::never,
               "a server-sent event is larger than " + std::to_string(bound) + " bytes; raise maxEventBytes");
}

}  // namespace

SseParser::SseParser(std::function<void(const SseEvent& event)> onEvent, std::size_t maxEventBytes)
    : onEvent_(std::move(onEvent)), maxEventBytes_(maxEventBytes) {}

void SseParser::reset() {
  line_.clear();
  data_.clear();
  type_.clear();
  nextId_ = lastId_;
  hasData_ = false;
  afterCr_ = false;
  begun_ = false;
}

void SseParser::feed(std::string_view piece) {
  while (!piece.empty()) {
    if (std::exchange(afterCr_, false) && piece.front() == '\n') {
      piece.remove_prefix(1);
      continue;
    }
    const std::size_t end = std::min(piece.find_first_of("\r\n"), piece.size());
    const bool whole = end < piece.size();
    if (line_.size() + end > maxEventBytes_) throw eventTooLarge(maxEventBytes_);
    const std::string_view part = piece.substr(0, end);
    if (whole) afterCr_ = piece[end] == '\r';
    piece.remove_prefix(end + (whole ? 1 : 0));
    if (!whole) {
      line_.append(part);
    } else if (line_.empty()) {
      line(part);
    } else {
      line_.append(part);
      const std::string text = std::exchange(line_, {});
      line(text);
    }
  }
}

void SseParser::line(std::string_view text) {
  if (!std::exchange(begun_, true) && text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  if (text.empty()) {
    dispatch();
    return;
  }
  const std::size_t colon = std::min(text.find(':'), text.size());
  const std::string_view name = text.substr(0, colon);
  std::string_view value = text.substr(std::min(text.size(), colon + 1));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    if (data_.size() + value.size() + 1 > maxEventBytes_) throw eventTooLarge(maxEventBytes_);
    if (hasData_) data_.push_back('\n');
    hasData_ = true;
    data_.append(value);
  } else if (name == "event") {
    type_ = value;
  } else if (name == "id") {
    if (value.find('\0') == std::string_view::npos) nextId_ = value;
  } else if (name == "retry") {
    std::int64_t pause = 0;
    const auto [rest, failure] = std::from_chars(value.data(), value.data() + value.size(), pause);
    const bool digits = std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!value.empty() && digits && failure == std::errc() && rest == value.data() + value.size()) {
      retry_ = std::chrono::milliseconds(pause);
    }
  }
}

void SseParser::dispatch() {
  lastId_ = nextId_;
  std::string type = std::exchange(type_, {});
  if (!std::exchange(hasData_, false)) return;
  const SseEvent event{
      .type = type.empty() ? "message" : std::move(type), .data = std::exchange(data_, {}), .id = lastId_};
  onEvent_(event);
}

void appendSse(std::string& out, std::string_view type, std::string_view data, std::string_view id) {
  const auto field = [&out](std::string_view name, std::string_view value) {
    out.append(name).append(value).push_back('\n');
  };
  // A line's end inside a type or an id would be a field of its own: the text ends there.
  const auto oneLine = [](std::string_view text) { return text.substr(0, text.find_first_of("\r\n")); };
  if (!type.empty()) field("event: ", oneLine(type));
  if (!id.empty()) field("id: ", oneLine(id));
  while (true) {
    const std::size_t end = data.find_first_of("\r\n");
    field("data: ", data.substr(0, end));
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data.substr(end, 2) == "\r\n" ? 2 : 1));
  }
  out.push_back('\n');
}

}  // namespace tidegate::http
