#include "durable_streams/store_model.h"

#include <algorithm>

namespace tidegate::durable_streams::testing {

Verdict Model::create(const std::string& path, const CreateStream& request) {
  const auto at = streams_.find(path);
  if (at != streams_.end()) {
    if (at->second.deleted) return Verdict::blocked;
    const bool sameFork = request.fork.has_value() == at->second.fork.has_value() &&
                          (!request.fork || (request.fork->source == at->second.fork->source &&
                                             request.fork->subPosition == at->second.fork->subPosition &&
                                             (!request.fork->at || request.fork->at == at->second.fork->at)));
    return request.closed == at->second.closed && sameFork ? Verdict::unchanged : Verdict::differs;
  }
  ModelStream stream;
  if (request.fork) {
    const auto from = streams_.find(request.fork->source);
    if (from == streams_.end()) return Verdict::noSource;
    ModelStream& source = from->second;
    if (source.deleted) return Verdict::sourceGone;
    const Position anchor = request.fork->at.value_or(source.content.size());
    if (!source.ends.contains(anchor)) return Verdict::badForkPoint;
    const auto end = source.ends.upper_bound(anchor);
    const Position room = end == source.ends.end() ? 0 : *end - anchor;
    if (request.fork->subPosition > room) return Verdict::badSubPosition;
    const Position base = anchor + request.fork->subPosition;
    stream.content = source.content.substr(0, base);
    stream.ends = {source.ends.begin(), source.ends.upper_bound(base)};
    stream.ends.insert(base);
    stream.fork = request.fork;
    stream.fork->at = anchor;
    ++source.forks;
  }
  stream.made = ++made_;
  stream.content += request.body;
  stream.ends.insert(stream.content.size());
  stream.closed = request.closed;
  streams_.emplace(path, std::move(stream));
  return Verdict::done;
}

Verdict Model::append(const std::string& path, const AppendToStream& request) {
  const auto at = streams_.find(path);
  if (at == streams_.end()) return Verdict::notFound;
  ModelStream& stream = at->second;
  if (stream.deleted) return Verdict::gone;
  if (stream.closed) {
    if (request.producer && stream.closedBy == request.producer) return Verdict::duplicate;
    return request.body.empty() && !request.producer ? Verdict::unchanged : Verdict::closed;
  }
  if (request.producer) {
    const ProducerStamp& p = *request.producer;
    const auto known = stream.producers.find(p.id);
    if (known == stream.producers.end()) {
      if (p.seq != 0) return Verdict::producerGap;
    } else if (const auto [epoch, seq] = known->second; p.epoch < epoch) {
      return Verdict::staleEpoch;
    } else if (p.epoch > epoch) {
      if (p.seq != 0) return Verdict::epochNotFromZero;
    } else if (p.seq <= seq) {
      return Verdict::duplicate;
    } else if (p.seq != seq + 1) {
      return Verdict::producerGap;
    }
  }
  if (request.seq && stream.seq && *request.seq <= *stream.seq) return Verdict::seqNotAfter;
  stream.content += request.body;
  stream.ends.insert(stream.content.size());
  if (request.producer) stream.producers[request.producer->id] = {request.producer->epoch, request.producer->seq};
  if (request.seq) stream.seq = request.seq;
  if (request.close) {
    stream.closed = true;
    stream.closedBy = request.producer;
  }
  return Verdict::done;
}

Verdict Model::remove(const std::string& path) {
  auto at = streams_.find(path);
  if (at == streams_.end()) return Verdict::notFound;
  if (at->second.deleted) return Verdict::gone;
  at->second.deleted = true;
  while (at != streams_.end() && at->second.deleted && at->second.forks == 0) {
    const auto source = at->second.fork ? streams_.find(at->second.fork->source) : streams_.end();
    streams_.erase(at);
    if (source != streams_.end()) --source->second.forks;
    at = source;
  }
  return Verdict::done;
}

Verdict Model::apply(const ModelChange& change) {
  switch (change.kind) {
    case ModelChange::Kind::create:
      return create(change.path, change.create);
    case ModelChange::Kind::append:
      return append(change.path, change.append);
    case ModelChange::Kind::remove:
      return remove(change.path);
    case ModelChange::Kind::note:
      if (change.note.empty()) {
        notes_.erase(change.path);
      } else {
        notes_[change.path] = change.note;
      }
      break;
  }
  return Verdict::done;
}

std::string Model::readersDifference(StreamStore& store, const std::string& path) const {
  const auto at = streams_.find(path);
  const StreamRead head = store.head(path);
  if (at == streams_.end()) return head.verdict == ReadVerdict::notFound ? "" : path + " is there";
  const ModelStream& stream = at->second;
  if (stream.deleted) return head.verdict == ReadVerdict::gone ? "" : path + " is not gone";
  if (head.verdict != ReadVerdict::data) return path + " is not there";
  if (head.stream.closed != stream.closed) return path + " is " + (stream.closed ? "not " : "") + "closed";
  std::string content;
  for (Position from = 0;;) {
    const StreamRead part = store.read(path, from, 300);
    if (part.verdict != ReadVerdict::data) return path + " cannot be read on from " + std::to_string(from);
    if (!stream.ends.contains(part.next)) return path + " gives a position inside an append";
    content += part.octets;
    if (content.size() != part.next) return path + " gives other octets than its position says";
    from = part.next;
    if (part.upToDate) break;
  }
  if (content != stream.content) {
    return path + " holds " + std::to_string(content.size()) + " octets, not the " +
           std::to_string(stream.content.size()) + " expected, or others";
  }
  return {};
}

std::string Model::difference(StreamStore& store) const {
  for (const auto& [path, stream] : streams_) {
    if (const std::string what = readersDifference(store, path); !what.empty()) return what;
  }
  if (store.size() != streams_.size())
    return std::to_string(store.size()) + " streams instead of " + std::to_string(streams_.size());
  const auto notes = store.notes();
  if (std::map<std::string, std::string>(notes.begin(), notes.end()) != notes_) return "other notes";
  return {};
}

}  // namespace tidegate::durable_streams::testing
