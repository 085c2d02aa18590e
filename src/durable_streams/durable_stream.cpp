#include <charconv>

#include "durable_streams/detail/client_session.h"
#include "durable_streams/detail/producer_impl.h"
#include "durable_streams/detail/reader_impl.h"

namespace tidegate::durable_streams {
namespace {

using detail::Ask;
using detail::Asked;
namespace wire = detail::wire;

StreamHead headOf(const http::Response& answer) {
  StreamHead head{.created = answer.status == 201,
                  .offset = std::string(answer.headers.get(wire::kNextOffset)),
                  .contentType = std::string(answer.headers.get("content-type")),
                  .closed = detail::saysTrue(answer.headers, wire::kClosed),
                  .expiresAt = std::string(answer.headers.get(wire::kExpiresAt))};
  const std::string_view ttl = answer.headers.get(wire::kTtl);
  std::int64_t seconds = 0;
  const auto [rest, failure] = std::from_chars(ttl.data(), ttl.data() + ttl.size(), seconds);
  if (!ttl.empty() && failure == std::errc() && rest == ttl.data() + ttl.size())
    head.ttl = std::chrono::seconds(seconds);
  return head;
}

void setLifetime(http::Headers& headers, const std::optional<std::chrono::seconds>& ttl, const std::string& expiresAt) {
  if (ttl && !expiresAt.empty()) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "a stream has a ttl or an expiresAt, not both");
  }
  if (ttl && ttl->count() < 0) throw Error(ErrorCode::invalidArgument, Retry::never, "ttl must not be negative");
  if (ttl) headers.set(wire::kTtl, std::to_string(ttl->count()));
  if (!expiresAt.empty()) headers.set(wire::kExpiresAt, expiresAt);
}

void setStamp(http::Headers& headers, const std::optional<WriteStamp>& stamp) {
  if (!stamp) return;
  if (stamp->producerId.empty()) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "WriteStamp::producerId must not be empty");
  }
  headers.set(wire::kProducerId, stamp->producerId);
  headers.set(wire::kProducerEpoch, std::to_string(stamp->epoch));
  headers.set(wire::kProducerSeq, std::to_string(stamp->seq));
}

/// Several documents as one array, which a JSON stream takes apart again.
std::string bodyOf(detail::Session& session, std::span<const std::string> messages, bool json) {
  std::string body;
  for (const std::string& message : messages) {
    if (message.empty()) throw Error(ErrorCode::invalidArgument, Retry::never, "an empty message appends nothing");
    if (json) {
      session.checkJson(message);
      body += body.empty() ? '[' : ',';
    }
    body += message;
  }
  if (body.empty()) throw Error(ErrorCode::invalidArgument, Retry::never, "no message, nothing to append");
  if (json) body += ']';
  return body;
}

std::string pathOf(const std::string& url) {
  const std::size_t path = url.find('/', url.find("//") + 2);
  return path == std::string::npos ? "/" : detail::withoutQuery(std::string_view(url).substr(path));
}

}  // namespace

DurableStreamClient::DurableStreamClient(DurableStreamClientOptions options)
    : session_(std::make_shared<detail::Session>(std::move(options))) {}

DurableStream DurableStreamClient::stream(std::string_view path) const {
  return DurableStream(session_, session_->urlOf(path));
}

DurableStream::DurableStream(std::shared_ptr<detail::Session> session, std::string url)
    : session_(std::move(session)), url_(std::move(url)) {}

const std::string& DurableStream::contentTypeOr(const std::string& given, const std::stop_token& stop) {
  if (!given.empty()) return given;
  if (contentType_.empty()) contentType_ = session_->askContentType(url_, nullptr, stop);
  return contentType_;
}

StreamHead DurableStream::create(const CreateOptions& options, std::stop_token stop) {
  Ask ask{.method = "PUT", .url = url_, .timeout = session_->options()->timeout, .repeatable = true};
  if (!options.contentType.empty()) ask.headers.set("content-type", options.contentType);
  setLifetime(ask.headers, options.ttl, options.expiresAt);
  if (options.closed) ask.headers.set(wire::kClosed, "true");
  if (options.first) ask.body = bodyOf(*session_, {&*options.first, 1}, detail::isJsonType(options.contentType));
  const Asked asked{.method = "PUT", .url = url_, .changes = true, .repeatable = true};
  const http::Response answer = session_->perform(ask, asked, nullptr, stop);
  if (answer.status != 200 && answer.status != 201) throw detail::refusal(asked, answer);
  StreamHead head = headOf(answer);
  if (head.contentType.empty()) head.contentType = options.contentType;
  contentType_ = head.contentType;
  return head;
}

std::optional<StreamHead> DurableStream::find(std::stop_token stop) {
  try {
    return head(stop);
  } catch (const StreamError& e) {
    if (e.failure() == StreamFailure::notFound) return std::nullopt;
    throw;
  }
}

StreamHead DurableStream::head(std::stop_token stop) {
  const Asked asked{.method = "HEAD", .url = url_, .repeatable = true};
  const http::Response answer =
      session_->perform({.method = "HEAD", .url = url_, .timeout = session_->options()->timeout}, asked, nullptr, stop);
  if (answer.status != 200) throw detail::refusal(asked, answer);
  StreamHead head = headOf(answer);
  if (!head.contentType.empty()) contentType_ = head.contentType;
  return head;
}

bool DurableStream::remove(std::stop_token stop) {
  // Deleting twice deletes once; the second answer says that there is none.
  const Asked asked{.method = "DELETE", .url = url_, .changes = true, .repeatable = true};
  const http::Response answer =
      session_->perform({.method = "DELETE", .url = url_, .timeout = session_->options()->timeout, .repeatable = true},
                        asked, nullptr, stop);
  contentType_.clear();
  if (answer.status == 404) return false;
  if (answer.status != 204 && answer.status != 200 && answer.status != 202) throw detail::refusal(asked, answer);
  return true;
}

DurableStream DurableStream::fork(std::string_view target, const ForkOptions& options, std::stop_token stop) {
  DurableStream made(session_, session_->urlOf(target));
  Ask ask{.method = "PUT", .url = made.url_, .timeout = session_->options()->timeout, .repeatable = true};
  ask.headers.set(wire::kForkedFrom, pathOf(url_));
  if (!options.offset.empty()) ask.headers.set(wire::kForkOffset, options.offset);
  if (options.subOffset > 0) ask.headers.set(wire::kForkSubOffset, std::to_string(options.subOffset));
  if (!options.contentType.empty()) ask.headers.set("content-type", options.contentType);
  setLifetime(ask.headers, options.ttl, options.expiresAt);
  const Asked asked{.method = "PUT", .url = made.url_, .changes = true, .repeatable = true};
  const http::Response answer = session_->perform(ask, asked, nullptr, stop);
  if (answer.status != 200 && answer.status != 201) throw detail::refusal(asked, answer);
  made.contentType_ = answer.headers.get("content-type");
  return made;
}

Appended DurableStream::append(std::string_view message, const AppendOptions& options, std::stop_token stop) {
  const std::string one(message);
  return append(std::span<const std::string>(&one, 1), options, stop);
}

Appended DurableStream::append(std::span<const std::string> messages, const AppendOptions& options,
                               std::stop_token stop) {
  const std::string contentType = contentTypeOr(options.contentType, stop);
  return post(bodyOf(*session_, messages, detail::isJsonType(contentType)), contentType, options, false, stop);
}

Appended DurableStream::close(const CloseOptions& options, std::stop_token stop) {
  const AppendOptions append{.stamp = options.stamp};
  if (!options.last) return post({}, {}, append, true, stop);
  const std::string contentType = contentTypeOr(options.contentType, stop);
  return post(bodyOf(*session_, {&*options.last, 1}, detail::isJsonType(contentType)), contentType, append, true, stop);
}

Appended DurableStream::post(std::string body, const std::string& contentType, const AppendOptions& options,
                             bool closing, const std::stop_token& stop) {
  const bool repeatable = options.stamp.has_value() || (closing && body.empty());
  Ask ask{.method = "POST",
          .url = url_,
          .body = std::move(body),
          .timeout = session_->options()->timeout,
          .repeatable = repeatable};
  if (!ask.body.empty()) ask.headers.set("content-type", contentType);
  if (!options.seq.empty()) ask.headers.set(wire::kSeq, options.seq);
  if (closing) ask.headers.set(wire::kClosed, "true");
  setStamp(ask.headers, options.stamp);
  const Asked asked{
      .method = "POST", .url = url_, .hasSeq = !options.seq.empty(), .changes = true, .repeatable = repeatable};
  const http::Response answer = session_->perform(ask, asked, &options.headers, stop);
  if (answer.status != 200 && answer.status != 204) throw detail::refusal(asked, answer);
  Appended done{.offset = std::string(answer.headers.get(wire::kNextOffset)),
                .duplicate = options.stamp && !closing && answer.status == 204,
                .closed = detail::saysTrue(answer.headers, wire::kClosed)};
  const std::string_view seq = answer.headers.get(wire::kProducerSeq);
  std::uint64_t accepted = 0;
  const auto [rest, failure] = std::from_chars(seq.data(), seq.data() + seq.size(), accepted);
  if (options.stamp && !seq.empty() && failure == std::errc() && rest == seq.data() + seq.size()) {
    done.producerSeq = accepted;
  }
  return done;
}

ReadEnd DurableStream::read(const ReadOptions& options, const std::function<bool(Chunk&& chunk)>& onChunk,
                            std::stop_token stop) {
  Reader chunks = reader(options);
  while (!chunks.ended() && !stop.stop_requested()) {
    auto chunk = chunks.next(std::chrono::hours(24), stop);
    if (chunk && !onChunk(*std::move(chunk))) break;
  }
  return chunks.place();
}

Reader DurableStream::reader(ReadOptions options) const {
  return Reader(std::make_unique<detail::ReaderImpl>(session_->options(), url_, std::move(options)));
}

Producer DurableStream::producer(ProducerOptions options) const {
  if (options.contentType.empty()) options.contentType = contentType_;
  return Producer(std::make_unique<detail::ProducerImpl>(*session_->options(), url_, std::move(options)));
}

}  // namespace tidegate::durable_streams
