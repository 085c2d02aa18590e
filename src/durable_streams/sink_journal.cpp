#include "durable_streams/detail/sink_journal.h"

#include <fmt/format.h>

#include <random>
#include <utility>

#include "core/detail/json_tree.h"
#include "tidegate/core/json.h"
#include "tidegate/http/message.h"

namespace tidegate::durable_streams::detail {
namespace {

using tidegate::detail::JsonRef;
using tidegate::detail::JsonTree;

constexpr std::size_t kJournalDepth = kMaxJsonDepth + 16;
constexpr int kMostClaims = 32;
constexpr std::string_view kHeadProducer = "tidegate";

std::string randomMark() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

std::string quotedJson(std::string_view text) {
  std::string out;
  appendJsonString(text, out);
  return out;
}

std::string streamsJson(const KnownStreams& streams) {
  std::string out = "[";
  for (const auto& [table, stream] : streams) {
    out.append(out.size() > 1 ? "," : "").append("[");
    appendJsonString(table, out);
    out.push_back(',');
    appendJsonString(stream, out);
    out.push_back(']');
  }
  out.push_back(']');
  return out;
}

void readStreams(const JsonRef& list, KnownStreams& out) {
  for (const JsonRef& pair : list.items()) {
    const auto both = pair.items();
    if (both.size() != 2) pair.fail("expected a table and a stream");
    out.emplace(both[0].string(), both[1].string());
  }
}

JournalPart partFrom(const JsonRef& part) {
  JournalPart read{.stream = part.member("stream").string(), .seq = part.member("seq").uint64()};
  for (const JsonRef& message : part.member("messages").items()) read.messages.emplace_back(message.source());
  return read;
}

}  // namespace

std::string pathSegment(std::string_view name) {
  if (name.empty() || name == "." || name == "..") {
    throw Error(ErrorCode::invalidConfig, Retry::never,
                fmt::format("\"{}\" cannot be part of a stream's path; give the table another target name", name));
  }
  return http::percentEncode(name);
}

struct SinkJournal::HeadState {
  std::uint64_t epoch = 0;
  std::string segment{};
  std::string incarnation{};
  std::string end{};
};

/// A unit as it is read back: which one, and its parts.
struct SinkJournal::Unit {
  std::uint64_t epoch = 0;
  std::uint64_t number = 0;
  std::vector<JournalPart> parts{};
};

SinkJournal::SinkJournal(StreamLog& log, JournalOptions options, std::string pipeline)
    : log_(log),
      options_(std::move(options)),
      pipeline_(std::move(pipeline)),
      head_(options_.prefix + "_tidegate/" + pathSegment(pipeline_)) {}

std::string SinkJournal::segmentPath(const std::string& name) const { return head_ + "/" + name; }

void SinkJournal::refuseFenced() const {
  throw Error(ErrorCode::fenced, Retry::afterOperator,
              fmt::format("another writer took over pipeline \"{}\" (epoch {} is no longer the last, says {}): end one "
                          "of the two; this one takes over when it is opened again",
                          pipeline_, epoch_, head_));
}

void SinkJournal::refuseStream(const std::string& stream, LogVerdict verdict) const {
  const std::string what = verdict == LogVerdict::closed    ? "is closed and takes no more messages"
                           : verdict == LogVerdict::missing ? "was deleted"
                                                            : "was deleted and made anew";
  throw Error(verdict == LogVerdict::closed ? ErrorCode::permissionDenied : ErrorCode::tableNotFound,
              Retry::afterOperator,
              fmt::format("stream \"{}\" of pipeline \"{}\" {}: delete it, and the stream {} that keeps the "
                          "pipeline's place, so that the next start writes a new baseline",
                          stream, pipeline_, what, head_));
}

/// A later owner removes the segments that it no longer needs.
void SinkJournal::refuseIfTakenOver() {
  if (readHead({}).epoch != epoch_) refuseFenced();
}

/// Reads the segment. @return its end.
std::string SinkJournal::readSegment(const std::string& from, const std::function<void(std::string_view)>& onRecord) {
  try {
    return log_.read(segmentPath(segment_), from, onRecord, stop_);
  } catch (const Error& e) {
    if (e.code() == ErrorCode::tableNotFound) refuseIfTakenOver();
    throw;
  }
}

SinkJournal::HeadState SinkJournal::readHead(const std::string& from) {
  HeadState state;
  state.end = log_.read(
      head_, from,
      [&](std::string_view record) {
        const JsonTree tree(record);
        const JsonRef root = tree.root();
        state.epoch = std::max(state.epoch, root.member("epoch").uint64());
        if (state.incarnation.empty()) state.incarnation = root.member("incarnation").string();
        if (const auto segment = root.find("segment"); segment && !segment->isNull()) {
          state.segment = segment->string();
        }
      },
      stop_);
  return state;
}

/// Becomes the only one who may name a segment. @return the segment that the last owner left.
std::string SinkJournal::claimHead() {
  log_.create(head_, stop_);
  for (int i = 0; i < kMostClaims; ++i) {
    const HeadState before = readHead({});
    epoch_ = before.epoch + 1;
    const std::string record = fmt::format(R"({{"epoch":{},"incarnation":"{}"}})", epoch_,
                                           before.incarnation.empty() ? randomMark() : before.incarnation);
    const LogAppended claimed =
        log_.append(head_, {record}, {.producerId = std::string(kHeadProducer), .epoch = epoch_, .seq = 0}, stop_);
    if (claimed.verdict == LogVerdict::closed) refuseStream(head_, claimed.verdict);
    if (claimed.verdict != LogVerdict::done) continue;  // another one has this epoch: take the next
    headSeq_ = 1;
    // The last owner may have begun a segment between the two.
    const HeadState now = readHead({});
    incarnation_ = now.incarnation;
    return now.segment;
  }
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("pipeline \"{}\": other writers keep taking it over ({})", pipeline_, head_));
}

void SinkJournal::appendRecords(const std::string& path, std::uint64_t& seq, std::vector<std::string> records) {
  std::size_t bytes = 0;
  for (const std::string& record : records) bytes += record.size() + 1;
  const bool ofHead = path == head_;
  const WriteStamp stamp{.producerId = std::string(kHeadProducer), .epoch = epoch_, .seq = seq};
  const LogAppended done = log_.append(path, records, stamp, stop_);
  if (done.verdict == LogVerdict::stale) refuseFenced();
  if (done.verdict == LogVerdict::missing) refuseIfTakenOver();
  if (done.verdict != LogVerdict::done && done.verdict != LogVerdict::duplicate) refuseStream(path, done.verdict);
  ++seq;
  if (ofHead) return;
  segmentBytes_ += bytes;
  segmentEnd_ = done.offset;
}

std::string SinkJournal::snapshotRecord() const {
  return fmt::format(R"({{"snapshot":{{"epoch":{},"checkpoint":{},"streams":{}}}}})", epoch_,
                     checkpoint_ ? quotedJson(*checkpoint_) : "null", streamsJson(known_));
}

/// Makes a segment and then names it in the head. Only then the one before it may go.
void SinkJournal::beginSegment(std::string after) {
  std::uint64_t number = 1;
  if (!after.empty()) number = std::stoull(after) + 1;
  const std::string name = fmt::format("{}-{}", number, epoch_);
  const std::string path = segmentPath(name);
  log_.create(path, stop_);
  segmentSeq_ = 0;
  segmentBytes_ = 0;
  appendRecords(path, segmentSeq_, {snapshotRecord()});
  appendRecords(head_, headSeq_,
                {fmt::format(R"({{"epoch":{},"incarnation":"{}","segment":"{}"}})", epoch_, incarnation_, name)});
  segment_ = name;
  if (!after.empty()) log_.remove(segmentPath(after), stop_);
}

/// From here on the last owner can commit nothing.
void SinkJournal::claimSegment(const std::string& name) {
  segment_ = name;
  segmentSeq_ = 0;
  segmentBytes_ = 0;
  appendRecords(segmentPath(name), segmentSeq_, {fmt::format(R"({{"claim":{}}})", epoch_)});
}

std::optional<std::string> SinkJournal::open(std::stop_token stop) {
  stop_ = std::move(stop);
  abandon();
  checkpoint_.reset();
  known_.clear();
  sequences_.clear();
  reserved_.clear();
  unit_ = 0;
  const std::string segment = claimHead();
  if (segment.empty()) {
    beginSegment({});
    return std::nullopt;
  }
  claimSegment(segment);
  replay();
  if (segmentBytes_ > options_.segmentBytes) rotate();
  return checkpoint_;
}

void SinkJournal::takeRecord(std::string_view record, Unit& open, std::optional<Unit>& last) {
  const JsonTree tree(record, kJournalDepth);
  const JsonRef root = tree.root();
  if (const auto snapshot = root.find("snapshot")) {
    const JsonRef checkpoint = snapshot->member("checkpoint");
    if (!checkpoint.isNull()) checkpoint_ = checkpoint.string();
    readStreams(snapshot->member("streams"), known_);
  } else if (const auto part = root.find("part")) {
    const std::uint64_t epoch = part->member("epoch").uint64(), number = part->member("unit").uint64();
    if (epoch != open.epoch || number != open.number) open = Unit{epoch, number, {}};  // the one before was given up
    open.parts.push_back(partFrom(*part));
  } else if (const auto commit = root.find("commit")) {
    const std::uint64_t epoch = commit->member("epoch").uint64(), number = commit->member("unit").uint64();
    if (epoch != open.epoch || number != open.number) open = Unit{epoch, number, {}};
    checkpoint_ = commit->member("checkpoint").string();
    readStreams(commit->member("added"), known_);
    last = std::exchange(open, Unit{});
  }
}

/// Reads the segment, and ends its last unit: only that one may not be in its streams yet.
void SinkJournal::replay() {
  Unit unfinished;
  std::optional<Unit> last;
  std::size_t bytes = 0;
  segmentEnd_ = readSegment({}, [&](std::string_view record) {
    bytes += record.size() + 1;
    takeRecord(record, unfinished, last);
  });
  segmentBytes_ = bytes;
  if (!last) return;
  for (const JournalPart& part : last->parts) send(part, last->epoch);
}

void SinkJournal::send(const JournalPart& part, std::uint64_t epoch) {
  const WriteStamp stamp{.producerId = "tidegate/" + incarnation_, .epoch = epoch, .seq = part.seq};
  const LogAppended done = log_.append(part.stream, part.messages, stamp, stop_);
  switch (done.verdict) {
    case LogVerdict::done:
    case LogVerdict::duplicate:
      return;
    case LogVerdict::stale:
      // A later owner writes here, which it does only once all that was committed before it is here.
      if (epoch == epoch_) refuseFenced();
      return;
    default:
      refuseStream(part.stream, done.verdict);
  }
}

std::string SinkJournal::partRecord(const JournalPart& part) const {
  std::string out = fmt::format(R"({{"part":{{"epoch":{},"unit":{},"stream":{},"seq":{},"messages":[)", epoch_, unit_,
                                quotedJson(part.stream), part.seq);
  for (std::size_t i = 0; i < part.messages.size(); ++i) out.append(i > 0 ? "," : "").append(part.messages[i]);
  out.append("]}}");
  return out;
}

std::string SinkJournal::commitRecord(std::string_view checkpoint, const KnownStreams& added) const {
  return fmt::format(R"({{"commit":{{"epoch":{},"unit":{},"checkpoint":{},"added":{}}}}})", epoch_, unit_,
                     quotedJson(checkpoint), streamsJson(added));
}

JournalPart SinkJournal::partOf(const std::string& stream, std::vector<std::string> messages) {
  const auto [at, fresh] = reserved_.try_emplace(stream, 0);
  if (fresh) {
    const auto committed = sequences_.find(stream);
    if (committed != sequences_.end()) at->second = committed->second;
  }
  JournalPart part{.stream = stream, .seq = at->second++, .messages = std::move(messages)};
  for (const std::string& message : part.messages) part.bytes += message.size();
  return part;
}

void SinkJournal::keep(JournalPart part) {
  if (forgotten_) return;
  keptBytes_ += part.bytes;
  kept_.push_back(std::move(part));
}

void SinkJournal::spill(const std::string& stream, std::vector<std::string> messages) {
  if (!spilled_) {
    spilled_ = true;
    unitFrom_ = segmentEnd_;
  }
  JournalPart part = partOf(stream, std::move(messages));
  appendRecords(segmentPath(segment_), segmentSeq_, {partRecord(part)});
  keep(std::move(part));
  if (keptBytes_ <= options_.keptBytes) return;
  kept_.clear();
  forgotten_ = true;
}

void SinkJournal::commit(std::string_view checkpoint,
                         std::vector<std::pair<std::string, std::vector<std::string>>> last,
                         const KnownStreams& added) {
  std::vector<std::string> records;
  for (auto& [stream, messages] : last) {
    if (messages.empty()) continue;
    JournalPart part = partOf(stream, std::move(messages));
    records.push_back(partRecord(part));
    keep(std::move(part));
  }
  records.push_back(commitRecord(checkpoint, added));
  if (!spilled_) unitFrom_ = segmentEnd_;
  appendRecords(segmentPath(segment_), segmentSeq_, std::move(records));
  checkpoint_ = std::string(checkpoint);
  known_.insert(added.begin(), added.end());
  for (const auto& [stream, next] : reserved_) sequences_[stream] = next;
  distribute();
  abandon();
  if (segmentBytes_ > options_.segmentBytes) rotate();
}

void SinkJournal::distribute() {
  eachPart([this](const JournalPart& part) { send(part, epoch_); });
}

void SinkJournal::unitMessages(const std::string& stream, const std::function<void(std::string_view)>& onMessage) {
  eachPart([&](const JournalPart& part) {
    if (part.stream != stream) return;
    for (const std::string& message : part.messages) onMessage(message);
  });
}

/// Parts that were too many to keep: the journal has them.
void SinkJournal::eachPart(const std::function<void(const JournalPart& part)>& onPart) {
  if (!forgotten_) {
    for (const JournalPart& part : kept_) onPart(part);
    return;
  }
  readSegment(unitFrom_, [&](std::string_view record) {
    const JsonTree tree(record, kJournalDepth);
    const auto part = tree.root().find("part");
    if (!part || part->member("unit").uint64() != unit_ || part->member("epoch").uint64() != epoch_) return;
    onPart(partFrom(*part));
  });
}

void SinkJournal::abandon() noexcept {
  ++unit_;
  reserved_.clear();
  spilled_ = forgotten_ = false;
  kept_.clear();
  keptBytes_ = 0;
}

void SinkJournal::rotate() { beginSegment(segment_); }

}  // namespace tidegate::durable_streams::detail
