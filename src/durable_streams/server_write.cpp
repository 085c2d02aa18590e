#include <spdlog/spdlog.h>

#include "durable_streams/detail/server_core.h"
#include "durable_streams/detail/subscriptions.h"

namespace tidegate::durable_streams::detail {

namespace {

http::Response withTail(int status, const StreamResult& result) {
  http::Response response = answerOf(status);
  response.headers.add(std::string(kNextOffset), formatPosition(result.stream.tail));
  if (result.stream.closed) response.headers.add(std::string(kClosed), "true");
  return response;
}

/// What a refused change is answered with, whatever it was.
http::Response refusedChange(const StreamResult& result) {
  switch (result.verdict) {
    case Verdict::notFound:
      return refusal(404, "there is no such stream");
    case Verdict::gone:
      return refusal(410, "the stream was deleted; forks still hold its data");
    case Verdict::blocked:
      return refusal(409,
                     "the path belongs to a deleted stream that forks still hold; delete them or take another path");
    case Verdict::differs:
      return refusal(409, "a stream with another configuration has this path");
    case Verdict::wrongType:
      return refusal(409, "the content type is not the stream's");
    case Verdict::seqNotAfter:
      return refusal(409, "Stream-Seq is not after the last one");
    case Verdict::noSource:
      return refusal(404, "the source of the fork does not exist");
    case Verdict::sourceGone:
      return refusal(409, "the source of the fork was deleted");
    case Verdict::badForkPoint:
      return refusal(400, "Stream-Fork-Offset is beyond the source's tail, or no offset of the source");
    case Verdict::badSubPosition:
      return refusal(400, "Stream-Fork-Sub-Offset is past the end of what was appended at the fork's offset");
    case Verdict::badJson:
      return refusal(400, result.message);
    case Verdict::tooMany:
      return refusal(429, result.message);
    case Verdict::unavailable:
      return refusal(503, result.message);
    default:
      return refusal(500, "the request cannot be answered");
  }
}

void addProducer(http::Response& response, const StreamResult& result) {
  response.headers.add(std::string(kProducerEpoch), std::to_string(result.producerEpoch));
  response.headers.add(std::string(kProducerSeq), std::to_string(result.producerSeq));
}

http::Response refusedProducer(const StreamResult& result, const ProducerStamp& stamp) {
  if (result.verdict == Verdict::epochNotFromZero)
    return refusal(400, "a new Producer-Epoch begins with Producer-Seq 0");
  if (result.verdict == Verdict::staleEpoch) {
    http::Response response = refusal(403, "another producer of this id has a later Producer-Epoch");
    response.headers.add(std::string(kProducerEpoch), std::to_string(result.producerEpoch));
    return response;
  }
  http::Response response = refusal(409, "a batch before this one is missing");
  response.headers.add(std::string(kProducerExpectedSeq), std::to_string(result.producerSeq));
  response.headers.add(std::string(kProducerReceivedSeq), std::to_string(stamp.seq));
  return response;
}

http::Response appendAnswer(const StreamResult& result, const std::optional<ProducerStamp>& producer, bool closeOnly) {
  switch (result.verdict) {
    case Verdict::done: {
      // 200 tells a producer news from repetition.
      http::Response response = withTail(producer && !closeOnly ? 200 : 204, result);
      if (producer) addProducer(response, result);
      return response;
    }
    case Verdict::duplicate: {
      http::Response response = withTail(204, result);
      addProducer(response, result);
      return response;
    }
    case Verdict::unchanged:
      return withTail(204, result);
    case Verdict::closed: {
      http::Response response = refusal(409, "the stream is closed");
      response.headers.add(std::string(kClosed), "true");
      response.headers.add(std::string(kNextOffset), formatPosition(result.stream.tail));
      return response;
    }
    case Verdict::staleEpoch:
    case Verdict::epochNotFromZero:
    case Verdict::producerGap:
      return refusedProducer(result, *producer);
    default:
      return refusedChange(result);
  }
}

}  // namespace

void ServerCore::create(StreamRequest&& r) {
  const std::string location = origin(r.request) + r.request.target.substr(0, r.request.target.find('?'));
  CreateFields fields = createFields(r.request, options_.basePath);
  if (!fields.problem.empty()) return send(r.answer, refusal(400, fields.problem));
  if (fields.request.fork && !allowed(StreamAction::read, fields.request.fork->source, r.request, r.answer)) return;
  const auto done = [core = shared_from_this(), answer = r.answer, path = r.path,
                     location](const StreamResult& result) {
    if (result.verdict != Verdict::done && result.verdict != Verdict::unchanged) {
      return core->send(answer, refusedChange(result));
    }
    const bool made = result.verdict == Verdict::done;
    http::Response response = withTail(made ? 201 : 200, result);
    response.headers.add("Content-Type", result.stream.contentType);
    if (made) response.headers.add("Location", location);
    // Before the answer, so that whoever got it finds the work that it made.
    if (made && result.stream.tail > 0) core->subscriptions().appended(path);
    core->send(answer, std::move(response));
  };
  store().create(r.path, std::move(fields.request), done);
}

void ServerCore::append(StreamRequest&& r) {
  AppendToStream request{.body = std::move(r.request.body), .close = saysClosed(r.request.headers)};
  ProducerFields producer = producerFields(r.request.headers);
  if (!producer.problem.empty()) return send(r.answer, refusal(400, producer.problem));
  request.contentType = r.request.headers.get("Content-Type");
  const bool closeOnly = request.body.empty();
  if (closeOnly && !request.close) return send(r.answer, refusal(400, "an append needs a body"));
  if (!closeOnly && request.contentType.empty()) return send(r.answer, refusal(400, "an append needs a Content-Type"));
  if (const std::string* seq = r.request.headers.find(kSeq)) request.seq = *seq;
  request.producer = std::move(producer.stamp);
  const auto done = [core = shared_from_this(), answer = r.answer, path = r.path, producer = request.producer,
                     closeOnly](const StreamResult& result) {
    if (result.verdict == Verdict::done) core->appends.fetch_add(1, std::memory_order_relaxed);
    if (result.verdict == Verdict::duplicate) core->duplicates.fetch_add(1, std::memory_order_relaxed);
    if (result.verdict == Verdict::done && !closeOnly) core->subscriptions().appended(path);
    core->send(answer, appendAnswer(result, producer, closeOnly));
  };
  store().append(r.path, std::move(request), done);
}

void ServerCore::remove(StreamRequest&& r) {
  store().remove(r.path, [core = shared_from_this(), answer = r.answer, path = r.path](const StreamResult& result) {
    if (result.verdict != Verdict::done) return core->send(answer, refusedChange(result));
    core->subscriptions().removed(path);
    core->send(answer, answerOf(204));
  });
}

}  // namespace tidegate::durable_streams::detail
