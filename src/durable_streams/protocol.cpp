#include "durable_streams/detail/protocol.h"

#include <algorithm>
#include <cctype>

#include "tidegate/core/value.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::uint64_t kMostNumber = (std::uint64_t{1} << 53) - 1;

bool equalWithoutCase(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool isWordCharacter(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-'; }

/// The source's path below the base path, or empty where it is not below it.
std::string sourcePath(std::string_view field, std::string_view basePath) {
  std::string path = http::percentDecode(field).value_or(std::string());
  if (path.size() <= basePath.size() + 1 || path.compare(0, basePath.size(), basePath) != 0 ||
      path[basePath.size()] != '/')
    return {};
  return path.substr(basePath.size() + 1);
}

std::string lifeFields(const http::Headers& headers, CreateStream& request) {
  const std::string* ttl = headers.find(kTtl);
  const std::string* expires = headers.find(kExpiresAt);
  if (ttl != nullptr && expires != nullptr) return "Stream-TTL and Stream-Expires-At exclude each other; send one";
  if (ttl != nullptr) {
    const auto seconds = wholeNumber(*ttl, true);
    if (!seconds) return "Stream-TTL must be a whole number of seconds";
    request.ttl = std::chrono::seconds(static_cast<std::int64_t>(*seconds));
  }
  if (expires != nullptr) {
    const auto time = rfc3339(*expires);
    if (!time) return "Stream-Expires-At must be an RFC 3339 timestamp, e.g. 2030-01-31T12:00:00Z";
    request.expiresAt = *expires;
    request.expiresAtTime = *time;
  }
  return {};
}

std::string forkFields(const http::Headers& headers, std::string_view basePath, CreateStream& request) {
  const std::string* source = headers.find(kForkedFrom);
  const std::string* offset = headers.find(kForkOffset);
  const std::string* sub = headers.find(kForkSubOffset);
  if (source == nullptr) {
    return offset != nullptr || sub != nullptr ? "a fork's offset needs Stream-Forked-From" : "";
  }
  ForkPoint fork{.source = sourcePath(*source, basePath)};
  if (offset != nullptr) {
    fork.at = parsePosition(*offset);
    if (!fork.at) return "Stream-Fork-Offset is not an offset that this server gave out";
  }
  if (sub != nullptr) {
    const auto number = wholeNumber(*sub, true);
    if (!number) return "Stream-Fork-Sub-Offset must be a whole number";
    fork.subPosition = *number;
  }
  request.fork = std::move(fork);
  return {};
}

}  // namespace

http::Response answerOf(int status) {
  return {.status = status,
          .headers = {{"X-Content-Type-Options", "nosniff"}, {"Cross-Origin-Resource-Policy", "cross-origin"}}};
}

http::Response refusal(int status, std::string_view detail) {
  http::Response response = http::problem(status, detail);
  response.headers.add("X-Content-Type-Options", "nosniff");
  response.headers.add("Cross-Origin-Resource-Policy", "cross-origin");
  response.headers.add("Cache-Control", "no-store");
  return response;
}

bool saysClosed(const http::Headers& headers) {
  const std::string* field = headers.find(kClosed);
  return field != nullptr && equalWithoutCase(*field, "true");
}

std::optional<std::uint64_t> wholeNumber(std::string_view text, bool canonical) {
  if (text.empty() || text.size() > 20 || (canonical && text.size() > 1 && text.front() == '0')) return std::nullopt;
  std::uint64_t number = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + static_cast<std::uint64_t>(c - '0');
    if (number > kMostNumber) return std::nullopt;
  }
  return number;
}

std::optional<Clock::Micros> rfc3339(std::string_view text) {
  Timestamp time;
  // The form is a date, 'T', a time and a zone; the reader below takes some more.
  if (text.size() < 20 || (text[10] != 'T' && text[10] != 't') || !parseTimestamp(text, time)) return std::nullopt;
  if (!time.hasZone) return std::nullopt;
  return Clock::Micros(time.micros);
}

bool isContentType(std::string_view text) {
  const std::size_t slash = text.find('/');
  return slash != std::string_view::npos && slash > 0 && slash + 1 < text.size() && isWordCharacter(text[slash + 1]) &&
         std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(slash), isWordCharacter);
}

bool matchesEtag(std::string_view ifNoneMatch, std::string_view etag) {
  while (!ifNoneMatch.empty()) {
    const std::size_t comma = ifNoneMatch.find(',');
    std::string_view one = ifNoneMatch.substr(0, comma);
    ifNoneMatch.remove_prefix(comma == std::string_view::npos ? ifNoneMatch.size() : comma + 1);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    // Weak comparison, as GET wants it; a cache may have weakened ours.
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == etag || one == "*") return true;
  }
  return false;
}

std::string etagOf(std::uint64_t stream, std::string_view from, std::string_view to, bool closed) {
  std::string etag = "\"" + std::to_string(stream);
  etag.append(":").append(from).append(":").append(to).append(closed ? ":c\"" : "\"");
  return etag;
}

ProducerFields producerFields(const http::Headers& headers) {
  const std::string* id = headers.find(kProducerId);
  const std::string* epoch = headers.find(kProducerEpoch);
  const std::string* seq = headers.find(kProducerSeq);
  if (id == nullptr && epoch == nullptr && seq == nullptr) return {};
  ProducerFields fields;
  if (id == nullptr || epoch == nullptr || seq == nullptr) {
    fields.problem = "Producer-Id, Producer-Epoch and Producer-Seq belong together; send all three or none";
    return fields;
  }
  const auto epochNumber = wholeNumber(*epoch, false);
  const auto seqNumber = wholeNumber(*seq, false);
  if (id->empty()) {
    fields.problem = "Producer-Id must not be empty";
  } else if (!epochNumber || !seqNumber) {
    fields.problem = "Producer-Epoch and Producer-Seq must be whole numbers up to 2^53-1";
  } else {
    fields.stamp = ProducerStamp{*id, *epochNumber, *seqNumber};
  }
  return fields;
}

CreateFields createFields(http::Request& request, std::string_view basePath) {
  CreateFields fields;
  CreateStream& create = fields.request;
  const std::string_view type = request.headers.get("Content-Type");
  if (isContentType(type)) create.contentType = type;
  create.closed = saysClosed(request.headers);
  fields.problem = lifeFields(request.headers, create);
  if (fields.problem.empty()) fields.problem = forkFields(request.headers, basePath, create);
  create.body = std::move(request.body);
  return fields;
}

Cursors::Cursors(const Clock& clock, std::chrono::seconds interval, std::uint64_t seed)
    : clock_(clock), interval_(interval), seed_(seed) {}

std::uint64_t Cursors::now() const {
  constexpr std::chrono::seconds kEpoch(1'728'432'000);  // 2024-10-09T00:00:00Z
  const auto since = clock_.wallNow() - kEpoch;
  return since.count() <= 0 ? 0 : static_cast<std::uint64_t>(since / interval_);
}

std::uint64_t Cursors::after(std::string_view sent) const {
  const std::uint64_t current = now();
  const auto theirs = wholeNumber(sent, false);
  if (!theirs || *theirs < current) return current;
  // 1 to 3,600 seconds, so that readers with one cursor spread over several. The same question within a microsecond may
  // get the same answer.
  std::uint64_t mix = seed_ ^ static_cast<std::uint64_t>(clock_.steadyNow().count()) ^ (*theirs << 32);
  mix = (mix ^ (mix >> 31)) * 0x9E3779B97F4A7C15ULL;
  const std::uint64_t seconds = 1 + (mix >> 33) % 3'600;
  const auto interval = static_cast<std::uint64_t>(interval_.count());
  return *theirs + std::max<std::uint64_t>(1, (seconds + interval - 1) / interval);
}

void appendEvent(std::string& out, std::string_view type, std::string_view data) {
  out.append("event: ").append(type).append("\n");
  while (true) {
    const std::size_t end = data.find_first_of("\r\n");
    const std::string_view line = data.substr(0, end);
    // A reader takes one space off.
    out.append(line.starts_with(' ') ? "data: " : "data:").append(line).append("\n");
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
  out.append("\n");
}

void appendControl(std::string& out, Position next, std::uint64_t cursor, bool upToDate, bool closed) {
  out.append("event: control\ndata:{\"streamNextOffset\":\"").append(formatPosition(next)).append("\"");
  if (closed) {
    out.append(",\"upToDate\":true,\"streamClosed\":true");
  } else {
    out.append(",\"streamCursor\":\"").append(std::to_string(cursor)).append("\"");
    if (upToDate) out.append(",\"upToDate\":true");
  }
  out.append("}\n\n");
}

}  // namespace tidegate::durable_streams::detail
