#include "durable_streams/detail/json_messages.h"

#include "tidegate/core/error.h"

namespace tidegate::durable_streams::detail {
namespace {

constexpr std::string_view kBlank = " \t\n\r";

/// Cuts blanks at both ends.
void addSpan(MessageSpans& spans, std::string_view text, std::size_t begin, std::size_t end) {
  while (begin < end && kBlank.find(text[begin]) != kBlank.npos) ++begin;
  while (begin < end && kBlank.find(text[end - 1]) != kBlank.npos) --end;
  if (begin < end) spans.emplace_back(begin, end - begin);
}

/// The elements of an array that is known to be JSON.
MessageSpans elements(std::string_view text, std::size_t open) {
  MessageSpans spans;
  std::size_t depth = 0;
  std::size_t begin = open + 1;
  bool quoted = false;
  for (std::size_t i = open + 1; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
      continue;
    }
    if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (depth > 0) {
      if (c == ']' || c == '}') --depth;
    } else if (c == ',' || c == ']') {
      addSpan(spans, text, begin, i);
      begin = i + 1;
      if (c == ']') break;
    }
  }
  return spans;
}

}  // namespace

MessageSpans splitMessages(JsonChecker& checker, std::string& document) {
  const std::size_t first = document.find_first_not_of(kBlank);
  if (first == std::string::npos) return {};
  if (const std::string problem = checker.check(document); !problem.empty()) {
    throw Error(ErrorCode::parseError, Retry::later, "the stream's data is no JSON: " + problem);
  }
  if (document[first] == '[') return elements(document, first);
  MessageSpans spans;
  addSpan(spans, document, first, document.size());
  return spans;
}

void MessageJoiner::add(JsonChecker& checker, std::string document) {
  const MessageSpans spans = splitMessages(checker, document);
  if (spans.empty()) return;
  if (++documents_ == 1) {
    array_ = document[document.find_first_not_of(kBlank)] == '[';
    data_ = std::move(document);
    spans_ = spans;
    return;
  }
  if (documents_ == 2) {
    // Made anew: each message behind a bracket or a comma.
    std::string joined;
    for (auto& [begin, length] : spans_) {
      joined += joined.empty() ? '[' : ',';
      const std::size_t at = joined.size();
      joined.append(data_, begin, length);
      begin = at;
    }
    joined += ']';
    data_ = std::move(joined);
    array_ = true;
  }
  data_.pop_back();
  for (const auto& [begin, length] : spans) {
    data_ += ',';
    spans_.emplace_back(data_.size(), length);
    data_.append(document, begin, length);
  }
  data_ += ']';
}

void MessageJoiner::clear() { *this = {}; }

std::pair<std::string, MessageSpans> MessageJoiner::take() {
  if (documents_ == 1 && !array_) {
    data_.insert(data_.begin(), '[');
    data_ += ']';
    for (auto& span : spans_) ++span.first;
  }
  std::pair<std::string, MessageSpans> taken{std::move(data_), std::move(spans_)};
  clear();
  return taken;
}

}  // namespace tidegate::durable_streams::detail
