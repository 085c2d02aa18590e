#include "http/detail/request_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "http/detail/target.h"
#include "http/detail/text.h"

namespace tidegate::http::detail {
namespace {

constexpr std::size_t kMethodBytes = 32;
constexpr std::size_t kLineSlack = kMethodBytes + 16;  ///< what stands beside the target in a request line
constexpr std::size_t kChunkLineBytes = 256;           ///< a chunk's size with its extensions
constexpr std::size_t kFields = 256;
constexpr std::size_t kReserve = 64u << 10;  ///< of a body that is only announced
constexpr unsigned kEmptyLines = 4;          ///< before a request line (RFC 9112, section 2.2)

}  // namespace

std::size_t RequestReader::feed(std::string_view input) {
  const std::size_t given = input.size();
  while (state_ != State::done && state_ != State::refused && step(input)) {
  }
  return given - input.size();
}

void RequestReader::next() {
  request_ = Request{};
  state_ = State::idle;
  part_ = Part::requestLine;
  scanned_ = headBytes_ = 0;
  bodyLeft_ = 0;
  emptyLines_ = 0;
  hasLength_ = chunked_ = hasHost_ = http10_ = close_ = keep_ = keepAlive_ = expectsContinue_ = false;
}

bool RequestReader::takeContinue() noexcept { return state_ == State::body && std::exchange(expectsContinue_, false); }

void RequestReader::refuse(int status, std::string_view why) {
  if (state_ == State::refused) return;
  state_ = State::refused;
  refusalStatus_ = status;
  refusal_ = why;
}

/// @return whether something was used, so that another step may find more.
bool RequestReader::step(std::string_view& input) {
  std::string_view line;
  switch (part_) {
    case Part::requestLine:
      if (!takeLine(input, std::min(limits_->targetBytes + kLineSlack, limits_->headerBytes), line)) return false;
      requestLine(line);
      return true;
    case Part::fields:
      if (!takeLine(input, limits_->headerBytes, line)) return false;
      if (line.empty()) {
        headDone();
      } else {
        fieldLine(line);
      }
      return true;
    case Part::trailers:
      if (!takeLine(input, limits_->headerBytes, line)) return false;
      trailerLine(line);
      return true;
    case Part::chunkSize:
      headBytes_ = 0;
      if (!takeLine(input, kChunkLineBytes, line)) return false;
      chunkSize(line);
      return true;
    case Part::chunkEnd:
      if (!takeLine(input, kChunkLineBytes, line)) return false;
      if (!line.empty()) refuse(400, "a chunk is longer than its size says");
      part_ = Part::chunkSize;
      return true;
    case Part::fixedBody:
      if (input.empty()) return false;
      fixedBody(input);
      return true;
    case Part::chunkData:
      if (input.empty()) return false;
      chunkData(input);
      return true;
  }
  return false;
}

/// A line without its CRLF, if it is whole. Refuses one that is too long, and one that ends in LF alone.
bool RequestReader::takeLine(std::string_view& input, std::size_t most, std::string_view& line) {
  if (part_ == Part::requestLine && !input.empty()) {
    const char first = input.front();
    if (first != '\r' && first != '\n' && !tables::kToken[static_cast<unsigned char>(first)]) {
      refuse(400, "this is not an HTTP request");
      return false;
    }
    if (state_ == State::idle && first != '\r' && first != '\n') state_ = State::head;
  }
  const std::size_t end = input.find('\n', scanned_);
  const std::size_t length = end == std::string_view::npos ? input.size() : end + 1;
  if (headBytes_ + length > most) {
    lineTooLong();
    return false;
  }
  if (end == std::string_view::npos) {
    scanned_ = input.size();
    return false;
  }
  if (end == 0 || input[end - 1] != '\r') {
    refuse(400, "a line ends in LF without CR");
    return false;
  }
  scanned_ = 0;
  headBytes_ += length;
  line = input.substr(0, end - 1);
  input.remove_prefix(length);
  return true;
}

void RequestReader::lineTooLong() {
  switch (part_) {
    case Part::requestLine:
      return refuse(414, "the target is too long");
    case Part::fields:
    case Part::trailers:
      return refuse(431, "the header fields are too large");
    default:
      return refuse(400, "a chunk's size line is too long or not closed");
  }
}

void RequestReader::requestLine(std::string_view line) {
  if (line.empty()) {
    headBytes_ = 0;
    if (++emptyLines_ > kEmptyLines) refuse(400, "empty lines stand before the request line");
    return;
  }
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse(400, "the request line has not three parts");
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (!isToken(method) || method.size() > kMethodBytes) return refuse(400, "the method is malformed");
  if (!readVersion(line.substr(last + 1))) return;
  if (target.size() > limits_->targetBytes) return refuse(414, "the target is too long");
  request_.method = method;
  request_.target = target;
  Target parts;
  if (const std::string_view wrong = parseTarget(method, target, parts); !wrong.empty()) return refuse(400, wrong);
  request_.path = std::move(parts.path);
  request_.query = std::move(parts.query);
  part_ = Part::fields;
}

bool RequestReader::readVersion(std::string_view version) {
  const auto digit = [&](std::size_t at) { return version[at] >= '0' && version[at] <= '9'; };
  if (version.size() != 8 || !version.starts_with("HTTP/") || version[6] != '.' || !digit(5) || !digit(7)) {
    refuse(400, "the request line names no HTTP version");
    return false;
  }
  if (version[5] != '1') {
    refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    return false;
  }
  http10_ = version[7] == '0';
  return true;
}

void RequestReader::fieldLine(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') return refuse(400, "a header field is folded over lines");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return refuse(400, "a header field has no colon");
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!isToken(name)) return refuse(400, "a header field's name is malformed");
  if (!isFieldValue(value)) return refuse(400, "a header field holds a control character");
  if (request_.headers.size() == kFields) return refuse(431, "there are too many header fields");
  knownField(name, value);
  request_.headers.add(std::string(name), std::string(value));
}

/// Trailers are checked and dropped: nothing here may depend on them.
void RequestReader::trailerLine(std::string_view line) {
  if (line.empty()) {
    state_ = State::done;
  } else if (!isToken(line.substr(0, line.find(':'))) || line.find(':') == std::string_view::npos ||
             !isFieldValue(line)) {
    refuse(400, "a trailer field is malformed");
  }
}

void RequestReader::knownField(std::string_view name, std::string_view value) {
  switch (name.size()) {
    case 4:
      if (sameName(name, "host")) host(value);
      break;
    case 6:
      if (!sameName(name, "expect") || http10_) break;
      if (sameName(value, "100-continue")) {
        expectsContinue_ = true;
      } else {
        refuse(417, "only 100-continue can be expected");
      }
      break;
    case 10:
      if (!sameName(name, "connection")) break;
      close_ = close_ || listHas(value, "close");
      keep_ = keep_ || listHas(value, "keep-alive");
      break;
    case 14:
      if (sameName(name, "content-length")) contentLength(value);
      break;
    case 17:
      if (sameName(name, "transfer-encoding")) transferEncoding(value);
      break;
    default:
      break;
  }
}

void RequestReader::host(std::string_view value) {
  if (std::exchange(hasHost_, true)) return refuse(400, "there is more than one Host");
  const auto plain = [](char c) {
    return c > 0x20 && c < 0x7F && std::string_view("/?#@,\\").find(c) == std::string_view::npos;
  };
  if (!std::all_of(value.begin(), value.end(), plain)) refuse(400, "Host is malformed");
}

void RequestReader::contentLength(std::string_view value) {
  if (std::exchange(hasLength_, true)) return refuse(400, "there is more than one Content-Length");
  const bool digits = std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (value.empty() || !digits) return refuse(400, "Content-Length is not a number");
  const auto [rest, failure] = std::from_chars(value.data(), value.data() + value.size(), bodyLeft_);
  // More than 64 bits is a number still, and more than any limit.
  if (failure != std::errc()) bodyLeft_ = static_cast<std::uint64_t>(-1);
}

void RequestReader::transferEncoding(std::string_view value) {
  if (std::exchange(chunked_, true)) return refuse(400, "there is more than one Transfer-Encoding");
  if (http10_) return refuse(400, "HTTP/1.0 has no Transfer-Encoding");
  if (!sameName(value, "chunked")) refuse(501, "chunked is the only transfer coding");
}

void RequestReader::headDone() {
  if (!http10_ && !hasHost_) return refuse(400, "there is no Host");
  if (hasLength_ && chunked_) return refuse(400, "there are both Content-Length and Transfer-Encoding");
  keepAlive_ = !close_ && (!http10_ || keep_);
  if (!chunked_ && bodyLeft_ > limits_->bodyBytes) return refuse(413, "the body is larger than is taken here");
  headBytes_ = 0;
  if (chunked_) {
    state_ = State::body;
    part_ = Part::chunkSize;
  } else if (bodyLeft_ > 0) {
    state_ = State::body;
    part_ = Part::fixedBody;
    // Announced is not sent: memory is spent as octets come.
    request_.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(bodyLeft_, kReserve)));
  } else {
    state_ = State::done;
  }
}

void RequestReader::bodyBegins() { expectsContinue_ = false; }

void RequestReader::fixedBody(std::string_view& input) {
  bodyBegins();
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bodyLeft_, input.size()));
  request_.body.append(input.substr(0, taken));
  input.remove_prefix(taken);
  bodyLeft_ -= taken;
  if (bodyLeft_ == 0) state_ = State::done;
}

void RequestReader::chunkSize(std::string_view line) {
  bodyBegins();
  std::size_t at = 0;
  std::uint64_t size = 0;
  for (; at < line.size() && hexDigit(line[at]) >= 0; ++at) {
    if (at == 15) return refuse(413, "a chunk is larger than is taken here");
    size = size * 16 + static_cast<std::uint64_t>(hexDigit(line[at]));
  }
  const std::string_view extension = trimmed(line.substr(at));
  const bool wellFormed = at > 0 && (extension.empty() || extension.front() == ';') && isFieldValue(extension);
  if (!wellFormed) return refuse(400, "a chunk's size is malformed");
  if (size > limits_->bodyBytes || request_.body.size() + size > limits_->bodyBytes) {
    return refuse(413, "the body is larger than is taken here");
  }
  bodyLeft_ = size;
  part_ = size == 0 ? Part::trailers : Part::chunkData;
}

void RequestReader::chunkData(std::string_view& input) {
  const auto taken = static_cast<std::size_t>(std::min<std::uint64_t>(bodyLeft_, input.size()));
  request_.body.append(input.substr(0, taken));
  input.remove_prefix(taken);
  bodyLeft_ -= taken;
  if (bodyLeft_ == 0) {
    part_ = Part::chunkEnd;
    headBytes_ = 0;
  }
}

}  // namespace tidegate::http::detail
