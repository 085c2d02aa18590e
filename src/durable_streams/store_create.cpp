#include <algorithm>

#include "durable_streams/detail/store_core.h"

namespace tidegate::durable_streams::detail {

namespace {

constexpr std::string_view kDefaultContentType = "application/octet-stream";
/// Reads walk from a fork up to its sources.
constexpr std::uint32_t kMostForkDepth = 256;

bool isJson(std::string_view contentType) { return normalContentType(contentType) == "application/json"; }

bool sameFork(const std::optional<ForkPoint>& asked, const std::optional<ForkPoint>& have) {
  if (asked.has_value() != have.has_value()) return false;
  if (!asked) return true;
  // Who leaves the place out gets the one that was taken when the fork was made.
  return asked->source == have->source && (!asked->at || asked->at == have->at) &&
         asked->subPosition == have->subPosition;
}

}  // namespace

StreamResult StoreCore::existing(Stream& stream, const CreateStream& request) const {
  StreamResult result{.verdict = Verdict::differs, .stream = visibleInfo(stream)};
  result.stream.tail = stream.tail;
  result.stream.closed = stream.closed;
  if (stream.deleted) {
    result.verdict = Verdict::blocked;
    return result;
  }
  const bool inherits = request.fork.has_value();
  const std::string wanted = normalContentType(request.contentType);
  const bool sameType = wanted == normalContentType(stream.contentType) ||
                        (wanted.empty() && (inherits || normalContentType(stream.contentType) == kDefaultContentType));
  const bool sameLife = (request.ttl == stream.ttl && request.expiresAt == stream.expiresAt) ||
                        (inherits && !request.ttl && request.expiresAt.empty());
  if (sameType && sameLife && request.closed == stream.closed && sameFork(request.fork, stream.fork)) {
    result.verdict = Verdict::unchanged;
  }
  return result;
}

Verdict StoreCore::resolveSubPosition(Stream& source, Position anchor, std::uint64_t sub, Position& base) {
  if (anchor >= source.tail) return Verdict::badSubPosition;
  const Position end = boundaryAfter(source, anchor);
  if (!source.json) {
    if (sub > end - anchor) return Verdict::badSubPosition;
    base = anchor + sub;
    return Verdict::done;
  }
  std::vector<ReadPiece> plan;
  planRead(source, anchor, end, plan);
  const std::string kept = readPieces(plan, static_cast<std::size_t>(end - anchor));
  const auto length = endOfMessages(kept, sub);
  if (!length) return Verdict::badSubPosition;
  base = anchor + *length;
  return Verdict::done;
}

Verdict StoreCore::resolveFork(const CreateStream& request, Stream& stream, Clock::Micros now, Aftermath& aftermath) {
  Stream* source = find(request.fork->source, now, aftermath);
  if (source == nullptr) return Verdict::noSource;
  if (source->deleted) return Verdict::sourceGone;
  if (!request.contentType.empty() &&
      normalContentType(request.contentType) != normalContentType(source->contentType)) {
    return Verdict::wrongType;
  }
  const Position anchor = request.fork->at.value_or(source->tail);
  if (anchor > source->tail || !isBoundary(*source, anchor)) return Verdict::badForkPoint;
  stream.base = anchor;
  if (request.fork->subPosition > 0) {
    const Verdict verdict = resolveSubPosition(*source, anchor, request.fork->subPosition, stream.base);
    if (verdict != Verdict::done) return verdict;
  }
  if (source->depth >= kMostForkDepth) return Verdict::tooMany;
  stream.tail = stream.base;
  stream.contentType = source->contentType;
  stream.fork = request.fork;
  stream.fork->at = anchor;
  stream.source = source;
  stream.sourceId = source->id;
  stream.depth = source->depth + 1;
  if (!request.ttl && request.expiresAt.empty()) {
    stream.ttl = source->ttl;
    stream.expiresAt = source->expiresAt;
    stream.expiresAtTime = source->expiresAtTime;
  }
  return Verdict::done;
}

/// Everything that a new stream is but its content. @return why there is none.
Verdict StoreCore::describeStream(const CreateStream& request, Stream& stream, Clock::Micros now,
                                  Aftermath& aftermath) {
  if (streams_.size() >= options_.limits.streams || stream.path.size() > options_.limits.pathBytes)
    return Verdict::tooMany;
  stream.contentType = request.contentType.empty() ? std::string(kDefaultContentType) : request.contentType;
  stream.ttl = request.ttl;
  stream.expiresAt = request.expiresAt;
  stream.expiresAtTime = request.expiresAtTime;
  stream.accessed = now;
  const Verdict verdict = request.fork ? resolveFork(request, stream, now, aftermath) : Verdict::done;
  stream.json = isJson(stream.contentType);
  return verdict;
}

void StoreCore::admit(std::unique_ptr<Stream> stream, std::string_view content, bool closed, StreamDone&& done,
                      Aftermath& aftermath) {
  Stream& made = *stream;
  made.id = nextId_++;
  // Its content is another record of the same batch: both or neither.
  if (journal_ != nullptr) journal_->putState(made);
  if (made.source != nullptr) ++made.source->forks;
  byPath_.emplace(made.path, stream.get());
  streams_.emplace(made.id, std::move(stream));
  if (!content.empty() || closed) {
    putExtent(made, content, {.stream = made.id, .start = made.tail, .close = closed, .octets = content});
    made.closed = closed;
  }
  watchDeadline(made);
  StreamResult result{.verdict = Verdict::done, .stream = changedInfo(made)};
  result.stream.contentType = made.contentType;
  changed(made, std::move(done), std::move(result), aftermath);
}

void StoreCore::create(std::string_view path, CreateStream&& request, StreamDone&& done) {
  // Outside the lock, where the type is known already; a fork that leaves it out is asked for its source's below.
  JsonBody body;
  const bool early = isJson(request.contentType) && !request.body.empty();
  if (early) body = jsonBody(json_, std::move(request.body), true);
  Aftermath aftermath;
  {
    const std::lock_guard guard(mutex_);
    const Clock::Micros now = clock_.wallNow();
    if (Stream* there = find(path, now, aftermath)) {
      answer(std::move(done), existing(*there, request), there->lastTicket, aftermath);
    } else if (!refused(done, aftermath)) {
      auto stream = std::make_unique<Stream>();
      stream->path = path;
      Verdict verdict = describeStream(request, *stream, now, aftermath);
      if (verdict == Verdict::tooMany)
        body.problem = "the store's bound on streams, on their paths or on forks of forks";
      if (verdict == Verdict::done && !early) {
        const bool json = stream->json && !request.body.empty();
        body = json ? jsonBody(json_, std::move(request.body), true) : JsonBody{.kept = std::move(request.body)};
      }
      if (verdict == Verdict::done && !body.problem.empty()) verdict = Verdict::badJson;
      if (verdict == Verdict::done) {
        admit(std::move(stream), body.kept, request.closed, std::move(done), aftermath);
      } else {
        answer(std::move(done), {.verdict = verdict, .message = body.problem}, committed_, aftermath);
      }
    }
  }
  aftermath.run();
}

}  // namespace tidegate::durable_streams::detail
