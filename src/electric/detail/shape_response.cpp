#include "electric/detail/shape_response.h"

#include <fmt/format.h>

#include <charconv>

#include "tidegate/core/json.h"

namespace tidegate::electric::detail {
namespace {

bool hasTag(std::string_view list, std::string_view tag) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    std::string_view item = list.substr(0, comma);
    list = comma == list.npos ? std::string_view() : list.substr(comma + 1);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    if (item.starts_with("W/")) item.remove_prefix(2);
    if (item == tag) return true;
  }
  return false;
}

}  // namespace

std::uint64_t nextCursor(std::int64_t nowMicros, std::chrono::milliseconds interval, std::string_view previous) {
  constexpr std::int64_t kEpochSeconds = 1'728'432'000;  // 2024-10-09, as Electric counts
  const std::int64_t seconds = interval.count() / 1'000;
  if (seconds == 0) return 0;
  const std::int64_t now = std::max<std::int64_t>(0, nowMicros / 1'000'000 - kEpochSeconds);
  const auto next = static_cast<std::uint64_t>((now + seconds - 1) / seconds * seconds);
  std::uint64_t before = 0;
  const auto r = std::from_chars(previous.data(), previous.data() + previous.size(), before);
  if (r.ec != std::errc{} || r.ptr != previous.data() + previous.size()) before = 0;
  if (next > before || before > UINT64_MAX - 3'600) return next;
  // Anything from 1 to 3600: clients that share a cursor need not stay together.
  return before + 1 + static_cast<std::uint64_t>(nowMicros) % 3'600;
}

ShapeFields::ShapeFields(const ShapeServerOptions& options, const Clock& clock) : options_(options), clock_(clock) {}

void ShapeFields::cache(const ShapeRequest& request, int status, bool hasHandle, http::Headers& headers) const {
  if (!options_.cacheFields) return;
  const bool shared = options_.authorise == nullptr;
  const std::string_view scope = shared ? "public" : "private";
  const auto say = [&](std::string value) { headers.set("cache-control", std::move(value)); };
  if (status == 409) return say(fmt::format("{}, max-age={}, must-revalidate", scope, hasHandle ? 60 : 1));
  if (status >= 400) {
    headers.set("surrogate-control", "no-store");
    return say("no-store");
  }
  if (request.from == ShapeRequest::From::beginning) {
    // Private caches keep the beginning for long; shared ones ask again, so that new clients get a fresh one.
    return say(
        fmt::format("{}, max-age=604800, {}stale-while-revalidate=2629746", scope, shared ? "s-maxage=3600, " : ""));
  }
  if (request.query.live && request.events) {
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(options_.eventStream).count();
    return say(fmt::format("{}, max-age={}", scope, std::max<std::int64_t>(1, seconds - 1)));
  }
  if (request.query.live) return say(fmt::format("{}, max-age=5, stale-while-revalidate=5", scope));
  say(fmt::format("{}, max-age={}, stale-while-revalidate={}", scope, options_.maxAge.count(),
                  options_.staleAge.count()));
}

std::string ShapeFields::etag(const ShapeRequest& request, const ShapeAnswer& answer) const {
  // An answer without changes is never the same again: who asks for it again has to wait.
  if (answer.noChanges) {
    return fmt::format("\"{}:{}:{}:{}\"", answer.handle, request.offsetText, answer.offset, clock_.steadyNow().count());
  }
  return fmt::format("\"{}:{}:{}\"", answer.handle, request.offsetText, answer.offset);
}

http::Headers ShapeFields::fields(const ShapeRequest& request, const ShapeAnswer& answer) const {
  http::Headers headers;
  cache(request, answer.status, !answer.handle.empty(), headers);
  if (request.query.live) {
    headers.set("electric-cursor",
                std::to_string(nextCursor(clock_.wallNow().count(), options_.longPoll, request.cursor)));
  }
  if (!answer.handle.empty()) headers.set("electric-handle", answer.handle);
  if (!answer.handle.empty() && answer.status < 400) headers.set("etag", etag(request, answer));
  if (!answer.schema.empty() && !request.query.live) headers.set("electric-schema", answer.schema);
  if (answer.upToDate) headers.set("electric-up-to-date", "");
  if (answer.status < 400) headers.set("electric-has-data", answer.noChanges ? "false" : "true");
  if (!answer.offset.empty()) headers.set("electric-offset", answer.offset);
  return headers;
}

http::Response ShapeFields::answer(const ShapeRequest& request, ShapeAnswer answer) const {
  http::Response response{.status = answer.status, .headers = fields(request, answer)};
  if (answer.status == 200 && !answer.noChanges && hasTag(request.ifNoneMatch, response.headers.get("etag"))) {
    response.status = 304;
    return response;
  }
  response.headers.set("content-type", "application/json; charset=utf-8");
  response.body = std::move(answer.body);
  return response;
}

http::Headers ShapeFields::events(const ShapeRequest& request, const ShapeAnswer& answer) const {
  http::Headers headers = fields(request, answer);
  headers.remove("etag");  // of a stream that is not known yet
  headers.set("content-type", "text/event-stream");
  headers.set("x-accel-buffering", "no");
  return headers;
}

http::Response shapeError(int status, std::string_view message, std::string_view field, std::string_view why) {
  http::Response response{.status = status};
  response.headers.set("content-type", "application/json; charset=utf-8");
  response.headers.set("cache-control", "no-store");
  response.headers.set("surrogate-control", "no-store");
  response.body = "{\"message\":";
  appendJsonString(message, response.body);
  if (!field.empty()) {
    response.body += ",\"errors\":{";
    appendJsonString(field, response.body);
    response.body += ":[";
    appendJsonString(why, response.body);
    response.body += "]}";
  }
  response.body += '}';
  return response;
}

}  // namespace tidegate::electric::detail
