#include <algorithm>

#include "durable_streams/detail/store_core.h"

namespace tidegate::durable_streams::detail {

Verdict StoreCore::checkProducer(Stream& stream, const ProducerStamp& stamp, StreamResult& result) const {
  const ProducerState* state = nullptr;
  if (stream.producers) {
    const auto at = stream.producers->find(stamp.id);
    if (at != stream.producers->end()) state = &at->second;
  }
  result.producerEpoch = stamp.epoch;
  if (state == nullptr || stamp.epoch > state->epoch) {
    result.producerSeq = 0;
    if (stamp.seq == 0) return Verdict::done;
    return state == nullptr ? Verdict::producerGap : Verdict::epochNotFromZero;
  }
  if (stamp.epoch < state->epoch) {
    result.producerEpoch = state->epoch;
    return Verdict::staleEpoch;
  }
  result.producerSeq = state->lastSeq;
  if (stamp.seq <= state->lastSeq) return Verdict::duplicate;
  result.producerSeq = state->lastSeq + 1;
  return stamp.seq == state->lastSeq + 1 ? Verdict::done : Verdict::producerGap;
}

bool StoreCore::roomForProducer(Stream& stream, const ProducerStamp& stamp, Clock::Micros now) const {
  if (!stream.producers || stream.producers->size() < options_.limits.producersPerStream) return true;
  if (stream.producers->contains(stamp.id)) return true;
  std::erase_if(*stream.producers, [&](const auto& p) { return p.second.used + options_.limits.producerIdle < now; });
  return stream.producers->size() < options_.limits.producersPerStream;
}

/// In the order that the protocol recommends, so that a client learns of the closure first.
Verdict StoreCore::checkWriter(Stream& stream, const AppendToStream& request, StreamResult& result, Clock::Micros now) {
  if (stream.closed) {
    if (request.producer && stream.closedBy == request.producer) {
      result.producerEpoch = request.producer->epoch;
      result.producerSeq = request.producer->seq;
      return Verdict::duplicate;
    }
    return request.body.empty() && !request.producer ? Verdict::unchanged : Verdict::closed;
  }
  if (!request.body.empty() && normalContentType(request.contentType) != normalContentType(stream.contentType)) {
    return Verdict::wrongType;
  }
  if (request.producer) {
    const Verdict verdict = checkProducer(stream, *request.producer, result);
    if (verdict != Verdict::done) return verdict;
    if (!roomForProducer(stream, *request.producer, now)) {
      result.message = "the stream knows as many producers as it may; use producer ids again";
      return Verdict::tooMany;
    }
  }
  if (request.seq && stream.lastSeq && *request.seq <= *stream.lastSeq) return Verdict::seqNotAfter;
  return Verdict::done;
}

void StoreCore::putExtent(Stream& stream, std::string_view octets, const AppendRecord& record) {
  Extent extent;
  if (journal_ != nullptr) extent = journal_->putAppend(record);
  if (octets.empty()) return;
  const Position start = stream.tail;
  stream.tail += octets.size();
  extent.end = stream.tail;
  stream.extents.push_back(extent);
  account(stream.id, stream.content.append(start, octets));
}

void StoreCore::applyAppend(Stream& stream, const AppendToStream& request, std::string_view octets, Clock::Micros now) {
  const ProducerStamp* producer = request.producer ? &*request.producer : nullptr;
  AppendRecord record{
      .stream = stream.id, .start = stream.tail, .close = request.close, .producer = producer, .octets = octets};
  if (request.seq) record.seq = *request.seq;
  putExtent(stream, octets, record);
  if (producer != nullptr) {
    if (!stream.producers) stream.producers = std::make_unique<Producers>();
    stream.producers->insert_or_assign(producer->id, ProducerState{producer->epoch, producer->seq, now});
  }
  if (request.seq) stream.lastSeq = request.seq;
  if (request.close) {
    stream.closed = true;
    if (producer != nullptr) stream.closedBy = *producer;
  }
}

void StoreCore::append(std::string_view path, AppendToStream&& request, StreamDone&& done) {
  JsonBody body;
  if (!request.body.empty() && normalContentType(request.contentType) == "application/json") {
    body = jsonBody(json_, std::move(request.body), false);
    request.body = body.problem.empty() ? std::string() : "?";
  } else {
    body.kept = std::move(request.body);
  }
  // Only whether there is a body matters from here on.
  request.body = body.kept.empty() && body.problem.empty() ? std::string() : "?";
  Aftermath aftermath;
  {
    const std::lock_guard guard(mutex_);
    const Clock::Micros now = clock_.wallNow();
    Stream* stream = find(path, now, aftermath);
    if (stream == nullptr || stream->deleted) {
      answer(std::move(done), {.verdict = stream == nullptr ? Verdict::notFound : Verdict::gone}, 0, aftermath);
    } else if (!refused(done, aftermath)) {
      stream->accessed = now;
      StreamResult result;
      result.verdict = checkWriter(*stream, request, result, now);
      if (result.verdict == Verdict::done && !body.problem.empty()) {
        result.verdict = Verdict::badJson;
        result.message = body.problem;
      }
      const bool accepted = result.verdict == Verdict::done;
      if (accepted) {
        applyAppend(*stream, request, body.kept, now);
        if (request.producer) result.producerSeq = request.producer->seq;
      }
      result.stream = changedInfo(*stream);
      if (accepted) {
        changed(*stream, std::move(done), std::move(result), aftermath);
      } else {
        answer(std::move(done), std::move(result), stream->lastTicket, aftermath);
      }
    }
  }
  aftermath.run();
}

void StoreCore::remove(std::string_view path, StreamDone&& done) {
  Aftermath aftermath;
  {
    const std::lock_guard guard(mutex_);
    Stream* stream = find(path, clock_.wallNow(), aftermath);
    if (stream == nullptr || stream->deleted) {
      answer(std::move(done), {.verdict = stream == nullptr ? Verdict::notFound : Verdict::gone}, 0, aftermath);
    } else if (!refused(done, aftermath)) {
      StreamResult result{.verdict = Verdict::done, .stream = changedInfo(*stream)};
      dropStream(*stream, aftermath);
      answer(std::move(done), std::move(result), journal_ != nullptr ? journal_->commit() : 0, aftermath);
    }
  }
  aftermath.run();
}

}  // namespace tidegate::durable_streams::detail
