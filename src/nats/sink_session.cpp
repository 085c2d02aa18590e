#include "nats/detail/sink_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>

#include "core/detail/packed.h"
#include "source/detail/hash.h"

namespace tidegate::nats::detail {
namespace {

constexpr int kMostClaims = 32;
constexpr std::size_t kMostPartBytes = 512u << 10;
/// Headers and their names.
constexpr std::size_t kHeaderBytes = 4u << 10;
/// Messages of a unit whose commit record is sent with them.
constexpr std::size_t kMostChained = 256;
constexpr std::size_t kMostPositionBytes = 1u << 10;

/// The message being judged has an id that must not be used.
struct SaltNeeded {};

std::string randomMark() {
  std::random_device device;
  return fmt::format("{:08x}", device());
}

bool isOfRow(ChangeOp op) {
  return op == ChangeOp::insert || op == ChangeOp::update || op == ChangeOp::erase || op == ChangeOp::read;
}

std::size_t partBytesFor(const Connection& connection) {
  const std::size_t most = connection.maxPayload();
  if (most < 2 * kHeaderBytes) {
    throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                fmt::format("nats: the servers take messages of {} octets; raise max_payload to {} or more", most,
                            2 * kHeaderBytes));
  }
  return std::min(most - kHeaderBytes, kMostPartBytes);
}

StreamSpec specFor(const SinkOptions& options, const StreamNames& names) {
  return {.name = names.stream, .subjects = {names.prefix + ".>"}, .options = options.stream};
}

}  // namespace

SinkSession::SinkSession(const SinkOptions& options, const SinkContext& context)
    : options_(options),
      pipeline_(context.pipeline),
      stop_(context.stop),
      names_(namesFor(options.streamName, options.subjectPrefix, context.pipeline)),
      connection_(options.connect),
      js_(connection_),
      partBytes_(partBytesFor(connection_)),
      nonce_(randomMark()) {}

void SinkSession::refuseFenced(const ForeignWrite& by) {
  throw Error(ErrorCode::fenced, Retry::afterOperator,
              fmt::format("pipeline \"{}\": message {} of stream \"{}\" is {}: end one of the two; this one takes over "
                          "when it is opened again",
                          pipeline_, by.sequence, names_.stream,
                          by.mark.empty() ? "not of a Tidegate sink" : "of another writer of the pipeline"));
}

std::string SinkSession::nextMark() { return fmt::format("{}.{}.{}", epoch_, nonce_, ++marks_); }

std::optional<std::string> SinkSession::open() {
  js_.ensure(specFor(options_, names_), stop_);
  for (int i = 0; i < kMostClaims; ++i) {
    if (tryClaim()) return checkpoint_;
  }
  throw Error(ErrorCode::connectionFailed, Retry::later,
              fmt::format("pipeline \"{}\": other writers keep taking stream \"{}\" over", pipeline_, names_.stream));
}

/// @return false: somebody else wrote meanwhile.
bool SinkSession::tryClaim() {
  const StreamInfo info = js_.info(names_.stream, stop_);
  const auto last = lastControl(js_, names_, stop_);
  log_.reset();
  claimed_ = false;
  const auto isStray = [this](std::string_view mark) { return claimed_ && isStrayMark(mark); };
  log_ = std::make_unique<FencedLog>(js_, names_.stream, FencedLogOptions{.isStray = isStray}, info.lastSequence);
  now_ = {};
  if (last) {
    epoch_ = last->record.epoch;
    unit_ = last->record.unit;
    checkpoint_ = last->record.checkpoint;
    now_.tables = last->record.tables;
    now_.shapes = last->record.shapes;
  }
  ++epoch_;
  committed_ = now_;
  ControlRecord claim{.claim = true, .epoch = epoch_, .unit = unit_, .checkpoint = checkpoint_};
  claim.shapes = now_.shapes;
  claim.tables = now_.tables;
  try {
    appendControl(claim);
  } catch (const ForeignWrite&) {
    return false;
  }
  claimed_ = true;
  return true;
}

/// Of a writer that was replaced, what it had under way may still come, and take the place of ours, so that only what
/// follows those is there. None of that counts, since no commit record does.
bool SinkSession::isStrayMark(std::string_view mark) const {
  std::uint64_t epoch = 0;
  const auto read = std::from_chars(mark.data(), mark.data() + mark.size(), epoch);
  if (read.ec != std::errc() || read.ptr == mark.data() + mark.size() || *read.ptr != '.') return false;
  return epoch < epoch_ || (epoch == epoch_ && mark.starts_with(fmt::format("{}.{}.", epoch_, nonce_)));
}

OutMessage SinkSession::controlMessage(const ControlRecord& record) {
  return {.subject = names_.control(),
          .headers = {{kOpHeader, std::string(record.claim ? kClaim : kCommit)}},
          .mark = nextMark(),
          .body = controlJson(record)};
}

void SinkSession::appendControl(const ControlRecord& record) {
  std::vector<OutMessage> parts;
  appendParts(controlMessage(record), partBytes_, parts);
  std::vector<Place> places;
  log_->append(parts, places, Order::single, stop_);
  noteControl(places.back().sequence, record.shapesAt == 0);
}

void SinkSession::noteControl(std::uint64_t sequence, bool hasShapes) {
  committedAt_ = sequence;
  if (!hasShapes) return;
  shapesAt_ = sequence;
  bytesSinceShapes_ = 0;
  shapesTime_ = connection_.clock().steadyNow();
}

/// Before the stream can have dropped them: readers need them as long as it has messages of these shapes.
bool SinkSession::shapesAreDue() {
  if (now_.changed || !unitShapes_.empty()) return true;
  const StreamOptions& limits = options_.stream;
  if (limits.maxBytes > 0 && bytesSinceShapes_ > limits.maxBytes / 4) return true;
  return limits.maxAge.count() > 0 && connection_.clock().steadyNow() - shapesTime_ > limits.maxAge / 4;
}

void SinkSession::prepare(const Shape& shape) {
  const std::string& table = shape->schema.table;
  const bool known = now_.tables.contains(table) && !now_.prepared.contains(table);
  if (known) return;  // events may still come in the shape that was written last
  const std::string& name = shapeNames_.nameOf(shape);
  now_.tables[table] = name;
  now_.shapes[name] = shape;
  now_.prepared.insert(table);
  now_.changed = true;
}

std::string SinkSession::packedKeyOf(const ChangeEvent& event) const {
  const std::vector<Value>& row = event.op == ChangeOp::erase ? event.before : event.after;
  std::string key;
  for (const std::uint32_t i : event.shape->key) {
    if (i >= row.size() || row[i].isNull()) {
      throw Error(ErrorCode::rowIdInvalid, Retry::never,
                  fmt::format("table \"{}\": a row whose key column \"{}\" is null", event.shape->schema.table,
                              (*event.shape->columns)[i]));
    }
    tidegate::detail::packValue(row[i], key);
  }
  return key;
}

std::string SinkSession::subjectOf(const ChangeEvent& event) const {
  std::string subject = names_.table(event.shape->schema.table);
  if (event.shape->key.empty() && (event.op == ChangeOp::update || event.op == ChangeOp::erase)) {
    throw Error(ErrorCode::rowIdInvalid, Retry::never,
                fmt::format("table \"{}\" has no key, so nobody can say which row is meant by an {}: give it a "
                            "primary key",
                            event.shape->schema.table, toString(event.op)));
  }
  const std::string key = isOfRow(event.op) ? packedKeyOf(event) : std::string();
  if (options_.buckets == 0) return subject;
  if (!isOfRow(event.op)) return subject + ".all";
  return fmt::format("{}.{:02}", subject, tidegate::detail::hash64(key) % options_.buckets);
}

/// The same change brought again has the same: from its place, and from what it says.
std::string SinkSession::idOf(const ChangeEvent& event, const std::string& shapeName, std::string_view body) {
  if (event.position.octets == lastPosition_) {
    ++samePosition_;
  } else {
    lastPosition_ = event.position.octets;
    samePosition_ = 0;
  }
  // While a baseline is under way a change also says that its row is there: it must not be taken for an earlier one.
  const bool counts = event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::erase;
  if (!counts || spilled_ || now_.reading.contains(event.shape->schema.table)) return {};
  std::string text =
      fmt::format("{}/{}/{}/{}/", hexOf(event.position.octets), samePosition_, shapeName, toString(event.op));
  text += body;
  const auto print = tidegate::detail::hash128(text);
  return fmt::format("{:016x}{:016x}", print.high, print.low);
}

void SinkSession::apply(const ChangeEvent& event) {
  const std::string& table = event.shape->schema.table;
  const std::string& name = shapeNames_.nameOf(event.shape);
  const auto known = now_.tables.find(table);
  if (event.op == ChangeOp::schemaChange) {
    changeShape(event, name);
    return;
  }
  if (known != now_.tables.end() && known->second != name && !now_.prepared.contains(table)) {
    // Nobody said that the table changed; readers must hear it nonetheless.
    auto change = std::make_shared<SchemaChange>();
    const auto before = now_.shapes.find(known->second);
    if (before != now_.shapes.end()) change->before = before->second;
    ChangeEvent told{.op = ChangeOp::schemaChange,
                     .transactionBegin = event.transactionBegin,
                     .shape = event.shape,
                     .position = event.position,
                     .commitMicros = event.commitMicros,
                     .transactionId = event.transactionId,
                     .schemaChange = std::move(change)};
    told.transactionEnd = told.transactionBegin;
    changeShape(told, name);
  }
  if (known == now_.tables.end() || now_.prepared.contains(table)) {
    now_.changed = now_.changed || known == now_.tables.end() || known->second != name;
    now_.tables[table] = name;
    now_.shapes[name] = event.shape;
    now_.prepared.erase(table);
  }
  if (event.op == ChangeOp::baselineBegin) now_.reading.insert(table);
  write(event);
  if (event.op == ChangeOp::baselineEnd) now_.reading.erase(table);
}

void SinkSession::changeShape(const ChangeEvent& event, const std::string& name) {
  const std::string& table = event.shape->schema.table;
  if (const auto before = now_.tables.find(table); before != now_.tables.end()) {
    if (const auto shape = now_.shapes.find(before->second); shape != now_.shapes.end()) {
      unitShapes_[before->second] = shape->second;
    }
  }
  if (event.schemaChange && event.schemaChange->before) {
    const Shape& before = event.schemaChange->before;
    unitShapes_[shapeNames_.nameOf(before)] = before;
  }
  now_.tables[table] = name;
  now_.shapes[name] = event.shape;
  now_.prepared.erase(table);
  now_.changed = true;
  write(event);
}

void SinkSession::write(const ChangeEvent& event) {
  OutMessage message{.subject = subjectOf(event)};
  std::string beforeName;
  if (event.schemaChange && event.schemaChange->before) beforeName = shapeNames_.nameOf(event.schemaChange->before);
  const std::string& shapeName = shapeNames_.nameOf(event.shape);
  appendEventBody(event, options_.body, beforeName, message.body);
  message.headers = {{kOpHeader, std::string(toString(event.op))},
                     {kShapeHeader, shapeName},
                     {kTransactionHeader, transactionText(event)}};
  if (!event.position.empty() && event.position.octets.size() <= kMostPositionBytes) {
    message.headers.push_back({kPositionHeader, hexOf(event.position.octets)});
  }
  if (const std::uint64_t hlc = hlcOf(event.commitMicros); hlc != 0) {
    message.headers.push_back({kHlcHeader, std::to_string(hlc)});
  }
  message.mark = nextMark();
  std::string id = idOf(event, shapeName, message.body);
  if (message.body.size() <= partBytes_) message.id = std::move(id);
  const std::size_t before = pending_.size();
  appendParts(std::move(message), partBytes_, pending_);
  for (std::size_t i = before; i < pending_.size(); ++i) pendingBytes_ += pending_[i].bytes();
  if (pendingBytes_ >= options_.pendingBytes) spill();
}

/// The unit is too large to be held. What is written of it before its commit has no ids: if it never counts, nobody may
/// take what is brought again for it.
void SinkSession::spill() {
  spilled_ = true;
  for (OutMessage& message : pending_) message.id.clear();
  appendPending(nullptr);
}

void SinkSession::appendPending(const ControlRecord* control) {
  const std::size_t rows = pending_.size();
  if (control != nullptr) pending_.push_back(controlMessage(*control));
  included_.assign(pending_.size(), true);
  greatest_ = std::max(committedAt_, runs_.empty() ? 0 : runs_.back().second);
  judged_ = 0;
  std::vector<Place> places, some;
  const auto runsWith = [&](const std::vector<Place>& before, std::size_t base) {
    std::vector<Run> runs = runs_;
    for (std::size_t k = 0; k < rows; ++k) {
      if (included_[k]) addToRuns(runs, k < base ? places[k].sequence : before[k - base].sequence);
    }
    return runs;
  };
  for (bool whole = false; !whole;) {
    const std::size_t base = places.size();
    const auto beforeSend = [&](std::size_t i, const std::vector<Place>& before, std::size_t settled,
                                OutMessage& message) {
      for (; judged_ < base + settled; ++judged_) judge(before[judged_ - base]);
      if (control == nullptr || base + i != rows) return;
      ControlRecord record = *control;
      record.runs = runsWith(before, base);
      message.body = controlJson(record);
    };
    try {
      log_->append(std::span(pending_).subspan(base), some, control != nullptr ? Order::chained : Order::free, stop_,
                   beforeSend);
      whole = true;
    } catch (const SaltNeeded&) {
      pending_[judged_].id += fmt::format("-{}.{}", epoch_, unit_);
      some.resize(judged_ - base);
    }
    places.insert(places.end(), some.begin(), some.end());
  }
  runs_ = runsWith({}, places.size());
  for (const OutMessage& message : pending_) bytesSinceShapes_ += message.bytes();
  if (control != nullptr) noteControl(places.back().sequence, control->shapesAt == 0);
  pending_.clear();
  pendingBytes_ = 0;
}

/// Decides on the message `judged_`, which is there for certain: whether it counts where it is. @throws SaltNeeded
void SinkSession::judge(const Place& place) {
  Repeat repeat = Repeat::counts;
  if (place.duplicate && place.sequence <= committedAt_)
    repeat = repeatAt(place.sequence);
  else if (place.duplicate && place.sequence <= greatest_)
    repeat = Repeat::again;  // it would count before what it comes after
  if (repeat == Repeat::again) throw SaltNeeded{};
  included_[judged_] = repeat == Repeat::counts;
  if (included_[judged_]) greatest_ = std::max(greatest_, place.sequence);
}

SinkSession::Repeat SinkSession::repeatAt(std::uint64_t sequence) {
  if (!js_.get(names_.stream, sequence, stop_)) return Repeat::again;  // dropped since
  const auto control = nextControl(js_, names_, sequence, stop_);
  const bool counted = control && !control->record.claim && inRuns(control->record.runs, sequence);
  return counted ? Repeat::counted : Repeat::again;
}

void SinkSession::commit(std::string_view checkpoint) {
  try {
    ControlRecord record{.epoch = epoch_, .unit = unit_ + 1, .checkpoint = std::string(checkpoint)};
    if (shapesAreDue()) {
      record.shapes = now_.shapes;
      record.shapes.insert(unitShapes_.begin(), unitShapes_.end());
      record.tables = now_.tables;
    } else {
      record.shapesAt = shapesAt_;
    }
    record.runs = runs_;
    // In one go with its record, where that cannot come to stand without them.
    const bool chained = pending_.size() <= kMostChained &&
                         std::all_of(pending_.begin(), pending_.end(), [](const auto& m) { return !m.id.empty(); }) &&
                         controlJson(record).size() + 48 * (pending_.size() + 1) <= partBytes_;
    if (chained) {
      appendPending(&record);
    } else {
      if (!pending_.empty()) appendPending(nullptr);
      record.runs = runs_;
      appendControl(record);
    }
    ++unit_;
    checkpoint_ = record.checkpoint;
    // What no table has any more is not needed by what follows; a message of an old shape brings its own change first.
    std::erase_if(now_.shapes, [&](const auto& shape) {
      return std::none_of(now_.tables.begin(), now_.tables.end(),
                          [&](const auto& table) { return table.second == shape.first; });
    });
    now_.changed = false;
    committed_ = now_;
    runs_.clear();
    unitShapes_.clear();
    spilled_ = false;
  } catch (const ForeignWrite& by) {
    refuseFenced(by);
  }
}

void SinkSession::undo() noexcept {
  pending_.clear();
  pendingBytes_ = 0;
  runs_.clear();
  unitShapes_.clear();
  spilled_ = false;
  now_ = committed_;
  lastPosition_.clear();
  samePosition_ = 0;
}

}  // namespace tidegate::nats::detail
