#include "gateway/detail/ingest_book.h"

#include <algorithm>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/segment_codec.h"

namespace tidegate::detail {

IngestState IngestBook::state(std::string_view sender) const {
  IngestState state;
  const auto at = senders_.find(sender);
  if (at == senders_.end()) return state;
  state.epoch = at->second.epoch;
  for (const auto& [key, held] : at->second.notes) state.notes.emplace(key, held.octets);
  return state;
}

bool IngestBook::holds(std::string_view sender, std::uint64_t epoch) const {
  const auto last = std::find_if(staged_.rbegin(), staged_.rend(),
                                 [&](const Staged& s) { return s.note.key.empty() && s.sender == sender; });
  if (last != staged_.rend()) return last->epoch == epoch;
  const auto at = senders_.find(sender);
  return at != senders_.end() && at->second.epoch == epoch;
}

std::uint64_t IngestBook::stageEpoch(std::string_view sender) {
  const auto at = senders_.find(sender);
  Staged& staged = staged_.emplace_back();
  staged.sender = sender;
  staged.epoch = at == senders_.end() ? 1 : at->second.epoch + 1;
  return staged.epoch;
}

void IngestBook::stage(std::string_view sender, const std::vector<IngestNote>& notes) {
  for (const IngestNote& note : notes) {
    Staged& staged = staged_.emplace_back();
    staged.sender = sender;
    staged.note = note;
  }
}

/// Where the entry stands, or will stand.
std::uint64_t IngestBook::segmentOf(const Staged& staged) const {
  for (const Staged& other : staged_) {
    if (&other == &staged) break;
    if (other.segment != 0 && other.sender == staged.sender && other.note.key == staged.note.key) return other.segment;
  }
  const auto at = senders_.find(staged.sender);
  if (at == senders_.end()) return 0;
  if (staged.note.key.empty()) return at->second.epochSegment;
  const auto note = at->second.notes.find(staged.note.key);
  return note == at->second.notes.end() ? 0 : note->second.segment;
}

void IngestBook::addSegments(std::vector<Segment>& puts, std::vector<SegmentRef>& drops) {
  for (Staged& staged : staged_) {
    staged.segment = segmentOf(staged);
    const bool goes = !staged.note.key.empty() && !staged.note.octets;
    if (goes && staged.segment == 0) continue;
    if (staged.segment == 0) staged.segment = nextSegment_++;
    const SegmentRef ref{SegmentKind::meta, staged.segment};
    // Of several states of one entry only the last is written.
    std::erase_if(puts, [&](const Segment& put) { return put.ref == ref; });
    std::erase(drops, ref);
    if (goes) {
      drops.push_back(ref);
      continue;
    }
    beginSegment(SegmentKind::meta, staged.written);
    putText(staged.sender, staged.written);
    putText(staged.note.key, staged.written);
    if (staged.note.key.empty())
      putFixed64(staged.epoch, staged.written);
    else
      putText(*staged.note.octets, staged.written);
    endSegment(staged.written);
    puts.push_back({ref, staged.written});
  }
}

void IngestBook::put(Staged& staged) {
  Sender& sender = senders_[staged.sender];
  if (staged.note.key.empty()) {
    sender.epoch = staged.epoch;
    sender.epochSegment = staged.segment;
    return;
  }
  const auto at = sender.notes.find(staged.note.key);
  if (at != sender.notes.end()) bytes_ -= at->first.size() + at->second.octets.size();
  if (!staged.note.octets) {
    if (at != sender.notes.end()) sender.notes.erase(at);
    return;
  }
  bytes_ += staged.note.key.size() + staged.note.octets->size();
  sender.notes[staged.note.key] = {std::move(*staged.note.octets), staged.segment};
}

void IngestBook::publish() {
  for (Staged& staged : staged_) put(staged);
  staged_.clear();
}

void IngestBook::writeStaged(std::string& out) const {
  for (const Staged& staged : staged_) {
    putText(staged.sender, out);
    putText(staged.note.key, out);
    out.push_back(staged.note.octets ? 1 : 0);
    if (staged.note.key.empty())
      putFixed64(staged.epoch, out);
    else if (staged.note.octets)
      putText(*staged.note.octets, out);
  }
}

void IngestBook::writeAll(std::string& out) const {
  for (const auto& [name, sender] : senders_) {
    putText(name, out);
    putText({}, out);
    out.push_back(0);
    putFixed64(sender.epoch, out);
    for (const auto& [key, held] : sender.notes) {
      putText(name, out);
      putText(key, out);
      out.push_back(1);
      putText(held.octets, out);
    }
  }
}

void IngestBook::adopt(std::string_view octets) {
  for (PackedReader in(octets); !in.done();) {
    Staged& staged = staged_.emplace_back();
    staged.sender = in.text();
    staged.note.key = in.text();
    const bool held = in.octet() != 0;
    if (staged.note.key.empty())
      staged.epoch = in.fixed64();
    else if (held)
      staged.note.octets = in.text();
  }
}

void IngestBook::load(SegmentRef ref, std::string_view payload) {
  PackedReader in(payload);
  Staged staged;
  staged.sender = in.text();
  staged.note.key = in.text();
  staged.segment = ref.id;
  if (staged.note.key.empty())
    staged.epoch = in.fixed64();
  else
    staged.note.octets = in.text();
  put(staged);
  nextSegment_ = std::max(nextSegment_, ref.id + 1);
}

}  // namespace tidegate::detail
