#include "durable_streams/model_streams.h"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace tidegate::durable_streams::test {
namespace {

using http::Request;
using http::Response;

std::uint64_t numberOf(const Request& request, std::string_view name) {
  return std::stoull(std::string(request.headers.get(name)));
}

bool wantsClosed(const Request& request) { return request.headers.get("stream-closed") == "true"; }

Response plain(int status, std::string body = {}) { return {.status = status, .body = std::move(body)}; }

void addMessages(ModelStream& stream, const std::string& body) {
  if (!stream.json()) {
    stream.messages.push_back(body);
    return;
  }
  const auto document = nlohmann::ordered_json::parse(body);
  if (!document.is_array()) {
    stream.messages.push_back(document.dump());
    return;
  }
  for (const auto& message : document) stream.messages.push_back(message.dump());
}

Response tailOf(const ModelStream& stream, int status) {
  Response answer{.status = status,
                  .headers = {{"stream-next-offset", ModelStreams::offsetAt(stream.messages.size())},
                              {"content-type", stream.contentType}}};
  if (stream.closed) answer.headers.set("stream-closed", "true");
  return answer;
}

}  // namespace

std::string ModelStreams::offsetAt(std::size_t messages) {
  char text[24];
  std::snprintf(text, sizeof text, "%012zu", messages);
  return text;
}

std::optional<std::size_t> ModelStreams::indexOf(const ModelStream& stream, std::string_view offset) {
  if (offset.empty() || offset == "-1") return 0;
  if (offset == "now") return stream.messages.size();
  for (std::size_t i = 0; i <= stream.messages.size(); ++i) {
    if (offsetAt(i) == offset) return i;
  }
  return std::nullopt;
}

std::string ModelStreams::bodyFrom(const ModelStream& stream, std::size_t index) {
  std::string body;
  for (std::size_t i = index; i < stream.messages.size(); ++i) {
    if (stream.json()) body += body.empty() ? '[' : ',';
    body += stream.messages[i];
  }
  if (stream.json()) body = body.empty() ? "[]" : body + "]";
  return body;
}

ModelStream* ModelStreams::find(std::string_view path) {
  const auto at = streams_.find(path);
  return at == streams_.end() ? nullptr : &at->second;
}

Response ModelStreams::handle(const Request& request) {
  if (request.method == "PUT") return put(request);
  ModelStream* stream = find(request.path);
  if (!stream) return plain(404, "no such stream");
  if (request.method == "POST") return post(request, *stream);
  if (request.method == "GET") return get(request, *stream);
  if (request.method == "HEAD") return tailOf(*stream, 200);
  if (request.method == "DELETE") {
    streams_.erase(request.path);
    return plain(204);
  }
  return plain(405);
}

Response ModelStreams::put(const Request& request) {
  const std::string type(request.headers.get("content-type"));
  if (ModelStream* there = find(request.path)) {
    return there->contentType == type ? tailOf(*there, 200) : plain(409, "another content type");
  }
  ModelStream& stream = streams_[request.path];
  stream.contentType = type.empty() ? "application/octet-stream" : type;
  if (!request.body.empty()) addMessages(stream, request.body);
  stream.closed = wantsClosed(request);
  return tailOf(stream, 201);
}

std::optional<Response> ModelStreams::judgeWriter(const Request& request, ModelStream& stream) {
  const std::string id(request.headers.get("producer-id"));
  const ModelStream::Writer now{numberOf(request, "producer-epoch"), numberOf(request, "producer-seq")};
  const auto at = stream.writers.find(id);
  if (at == stream.writers.end()) {
    if (now.seq == 0) return std::nullopt;
    Response gap = plain(409, "gap");
    gap.headers = {{"producer-expected-seq", "0"}, {"producer-received-seq", std::to_string(now.seq)}};
    return gap;
  }
  const ModelStream::Writer last = at->second;
  if (now.epoch < last.epoch) {
    Response stale = plain(403, "stale epoch");
    stale.headers.set("producer-epoch", std::to_string(last.epoch));
    return stale;
  }
  if (now.epoch > last.epoch) return now.seq == 0 ? std::nullopt : std::optional(plain(400, "begins at 0"));
  if (now.seq <= last.seq) {
    Response duplicate = tailOf(stream, 204);
    duplicate.headers.set("producer-epoch", std::to_string(last.epoch));
    duplicate.headers.set("producer-seq", std::to_string(last.seq));
    return duplicate;
  }
  if (now.seq == last.seq + 1) return std::nullopt;
  Response gap = plain(409, "gap");
  gap.headers = {{"producer-expected-seq", std::to_string(last.seq + 1)},
                 {"producer-received-seq", std::to_string(now.seq)}};
  return gap;
}

Response ModelStreams::post(const Request& request, ModelStream& stream) {
  const bool stamped = request.headers.has("producer-id");
  const std::string id(request.headers.get("producer-id"));
  ModelStream::Writer writer;
  if (stamped) writer = {numberOf(request, "producer-epoch"), numberOf(request, "producer-seq")};
  if (stream.closed) {
    const bool same = stamped && stream.closedBy == std::pair(id, writer);
    const bool again = !stamped && wantsClosed(request) && request.body.empty();
    Response closed = tailOf(stream, same || again ? 204 : 409);
    return closed;
  }
  if (!request.body.empty() && request.headers.get("content-type") != stream.contentType) return plain(409, "type");
  if (request.body.empty() && !wantsClosed(request)) return plain(400, "empty");
  if (stamped) {
    if (auto verdict = judgeWriter(request, stream)) return *verdict;
  }
  const std::string seq(request.headers.get("stream-seq"));
  if (!seq.empty() && seq <= stream.lastSeq) return plain(409, "sequence");
  if (!request.body.empty()) addMessages(stream, request.body);
  if (!seq.empty()) stream.lastSeq = seq;
  if (stamped) stream.writers[id] = writer;
  if (wantsClosed(request)) {
    stream.closed = true;
    if (stamped) stream.closedBy = std::pair(id, writer);
  }
  Response done = tailOf(stream, stamped && !request.body.empty() ? 200 : 204);
  if (stamped) {
    done.headers.set("producer-epoch", std::to_string(writer.epoch));
    done.headers.set("producer-seq", std::to_string(writer.seq));
  }
  return done;
}

Response ModelStreams::get(const Request& request, const ModelStream& stream) {
  const auto index = indexOf(stream, http::queryParameter(request.query, "offset").value_or("-1"));
  if (!index) return plain(400, "no such offset");
  Response answer = tailOf(stream, 200);
  answer.headers.set("stream-up-to-date", "true");
  const std::string tag =
      '"' + offsetAt(*index) + ":" + offsetAt(stream.messages.size()) + (stream.closed ? ":c" : "") + '"';
  if (request.headers.get("if-none-match") == tag) return plain(304);
  answer.headers.set("etag", tag);
  answer.body = bodyFrom(stream, *index);
  return answer;
}

}  // namespace tidegate::durable_streams::test
