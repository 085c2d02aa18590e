#include "durable_streams/detail/json_body.h"
#include "durable_streams/detail/server_core.h"

namespace tidegate::durable_streams::detail {

namespace {

ReadQuery readQuery(std::string_view query) {
  ReadQuery out;
  bool offsetSeen = false;
  for (auto& [name, value] : http::queryParameters(query)) {
    if (name == "offset") {
      if (offsetSeen) out.problem = "offset stands twice in the query";
      offsetSeen = true;
      out.offset = std::move(value);
    } else if (name == "cursor") {
      out.cursor = std::move(value);
    } else if (name == "live") {
      if (value == "long-poll") {
        out.live = ReadQuery::Live::longPoll;
      } else if (value == "sse") {
        out.live = ReadQuery::Live::sse;
      } else {
        out.problem = "live must be long-poll or sse";
      }
    }
  }
  if (!offsetSeen) {
    if (out.live != ReadQuery::Live::no && out.problem.empty()) out.problem = "a live read needs an offset";
    out.offset = "-1";
  }
  out.fromNow = out.offset == "now";
  if (out.fromNow || out.offset == "-1") return out;
  const auto position = parsePosition(out.offset);
  if (!position) {
    if (out.problem.empty()) out.problem = "the offset is not one that this server gave out";
  } else {
    out.from = *position;
  }
  return out;
}

http::Response refusedRead(ReadVerdict verdict) {
  switch (verdict) {
    case ReadVerdict::gone:
      return refusal(410, "the stream was deleted; forks still hold its data");
    case ReadVerdict::badPosition:
      return refusal(400, "the offset is beyond the stream's tail, or no offset of this stream");
    default:
      return refusal(404, "there is no such stream");
  }
}

void addTail(http::Response& response, Position next, bool upToDate, bool closed) {
  response.headers.add(std::string(kNextOffset), formatPosition(next));
  if (upToDate) response.headers.add(std::string(kUpToDate), "true");
  if (closed) response.headers.add(std::string(kClosed), "true");
}

}  // namespace

http::Response readAnswer(const ReadQuery& query, StreamRead& read, bool publicCache) {
  http::Response response = answerOf(200);
  const bool closed = read.stream.closed && read.upToDate;
  response.headers.add("Content-Type", read.stream.contentType);
  addTail(response, read.next, read.upToDate, closed);
  response.headers.add("ETag", etagOf(read.stream.id, query.offset, formatPosition(read.next), closed));
  // Octets at an offset never change. That there are none yet, does.
  if (read.octets.empty()) {
    response.headers.add("Cache-Control", "no-store");
  } else {
    response.headers.add("Cache-Control", publicCache ? "public, max-age=60, stale-while-revalidate=300"
                                                      : "private, max-age=60, stale-while-revalidate=300");
  }
  response.body = read.stream.json ? jsonArray(std::move(read.octets)) : std::move(read.octets);
  return response;
}

void ServerCore::head(StreamRequest&& r) {
  const StreamRead head = store().head(r.path);
  if (head.verdict != ReadVerdict::data) return send(r.answer, refusedRead(head.verdict));
  http::Response response = answerOf(200);
  response.headers.add("Content-Type", head.stream.contentType);
  addTail(response, head.stream.tail, false, head.stream.closed);
  if (head.stream.ttl) response.headers.add(std::string(kTtl), std::to_string(head.stream.ttl->count()));
  if (!head.stream.expiresAt.empty()) response.headers.add(std::string(kExpiresAt), head.stream.expiresAt);
  response.headers.add("ETag", etagOf(head.stream.id, "-1", formatPosition(head.stream.tail), head.stream.closed));
  response.headers.add("Cache-Control", "no-store");
  send(r.answer, std::move(response));
}

void ServerCore::readNow(StreamRequest& r, const ReadQuery& query, const StreamRead& tail) {
  if (query.live == ReadQuery::Live::sse) {
    return beginEvents(*this, std::move(r), tail.stream.tail, query.cursor, tail.stream);
  }
  http::Response response = answerOf(query.live == ReadQuery::Live::longPoll ? 204 : 200);
  addTail(response, tail.stream.tail, true, tail.stream.closed);
  response.headers.add("Cache-Control", "no-store");
  if (response.status == 200) {
    response.headers.add("Content-Type", tail.stream.contentType);
    if (tail.stream.json) response.body = "[]";
  }
  send(r.answer, std::move(response));
}

void ServerCore::sendRead(StreamRequest& r, const ReadQuery& query, StreamRead&& read) {
  const bool closed = read.stream.closed && read.upToDate;
  const std::string* known = r.request.headers.find("If-None-Match");
  if (known != nullptr) {
    const std::string etag = etagOf(read.stream.id, query.offset, formatPosition(read.next), closed);
    if (matchesEtag(*known, etag)) {
      http::Response response = answerOf(304);
      response.headers.add("ETag", etag);
      addTail(response, read.next, read.upToDate, closed);
      return send(r.answer, std::move(response));
    }
  }
  http::Response response = readAnswer(query, read, options_.publicCache);
  if (query.live == ReadQuery::Live::longPoll && !closed) {
    response.headers.add(std::string(kCursor), std::to_string(cursors_.after(query.cursor)));
  }
  send(r.answer, std::move(response));
}

void ServerCore::longPoll(StreamRequest&& r, const ReadQuery& query, StreamRead&& read) {
  if (!read.octets.empty()) return sendRead(r, query, std::move(read));
  if (read.stream.closed) return readNow(r, query, read);
  ReadQuery resolved = query;
  resolved.from = read.next;
  waitForLongPoll(*this, std::move(r), resolved, read.stream.id);
}

void ServerCore::read(StreamRequest&& r) {
  ReadQuery query = readQuery(r.request.query);
  reads.fetch_add(1, std::memory_order_relaxed);
  if (query.live == ReadQuery::Live::sse || query.fromNow || !query.problem.empty()) {
    StreamRead head = store().head(r.path);
    if (head.verdict != ReadVerdict::data) return send(r.answer, refusedRead(head.verdict));
    if (!query.problem.empty()) return send(r.answer, refusal(400, query.problem));
    if (query.fromNow) query.from = head.stream.tail;
    // Also at its tail a read is a read: it begins the time to live anew, and says whether the place exists.
    const StreamRead there = store().read(r.path, query.from, 1);
    if (there.verdict != ReadVerdict::data) return send(r.answer, refusedRead(there.verdict));
    if (query.live == ReadQuery::Live::sse) {
      return beginEvents(*this, std::move(r), query.from, query.cursor, there.stream);
    }
    if (query.live == ReadQuery::Live::no || head.stream.closed) return readNow(r, query, head);
  }
  StreamRead read = store().read(r.path, query.from, options_.chunkBytes);
  if (read.verdict != ReadVerdict::data) return send(r.answer, refusedRead(read.verdict));
  if (query.live == ReadQuery::Live::longPoll) return longPoll(std::move(r), query, std::move(read));
  sendRead(r, query, std::move(read));
}

}  // namespace tidegate::durable_streams::detail
