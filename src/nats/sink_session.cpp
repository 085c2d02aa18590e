#include "nats/detail/sink_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <random>
#include <utility>

#include "core/detail/octet_text.h"
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
/// Messages made between two looks at whether there is room to send them.
constexpr std::size_t kAhead = 64;

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

std::string SinkSession::nextMark() {
  std::string mark;
  mark.reserve(64);
  fmt::format_to(std::back_inserter(mark), "{}.{}.{}", epoch_, nonce_, ++marks_);
  return mark;
}

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

std::string SinkSession::subjectOf(const ChangeEvent& event) {
  if (event.shape != subjectShape_) {
    subjectShape_ = event.shape;
    tableSubject_ = names_.table(event.shape->schema.table);
  }
  const std::string& subject = tableSubject_;
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
std::string SinkSession::idOf(const ChangeEvent& event, const std::string& shapeName, std::string_view position,
                              std::string_view body) {
  if (event.position.octets == lastPosition_) {
    ++samePosition_;
  } else {
    lastPosition_ = event.position.octets;
    samePosition_ = 0;
  }
  // While a baseline is under way a change also says that its row is there: it must not be taken for an earlier one.
  const bool counts = event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::erase;
  if (!counts || spilled_ || now_.reading.contains(event.shape->schema.table)) return {};
  std::string& text = idText_;  // its room is used again
  text.assign(position).append("/").append(std::to_string(samePosition_)).append("/").append(shapeName).append("/");
  text.append(toString(event.op)).append("/").append(body);
  const auto print = tidegate::detail::hash128(text);
  return fmt::format("{:016x}{:016x}{}", print.high, print.low, salt_);
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
  const std::string position = tidegate::detail::hexOf(event.position.octets);
  message.headers.reserve(4);
  message.headers.push_back({kOpHeader, std::string(toString(event.op))});
  if (!position.empty() && event.position.octets.size() <= kMostPositionBytes) {
    message.headers.push_back({kPositionHeader, position});
  }
  if (const std::uint64_t hlc = hlcOf(event.commitMicros); hlc != 0) {
    message.headers.push_back({kHlcHeader, std::to_string(hlc)});
  }
  message.mark = nextMark();
  message.mark.append(" ").append(shapeName).append(" ").append(transactionText(event));
  std::string id = idOf(event, shapeName, position, message.body);
  if (message.body.size() <= partBytes_) message.id = std::move(id);
  const std::size_t before = pending_.size();
  appendParts(std::move(message), partBytes_, pending_);
  for (std::size_t i = before; i < pending_.size(); ++i) pendingBytes_ += pending_[i].bytes();
  if (pendingBytes_ >= options_.pendingBytes)
    spill();
  else
    writeAhead();
}

/// Begins to write before the unit is whole, so that the servers work while its messages are made.
void SinkSession::writeAhead() {
  const bool may = spilled_ || pending_.size() > kMostChained;
  if (!may || pending_.size() < lookAt_) return;
  send(nullptr, false);
  lookAt_ = pending_.size() + kAhead;
}

/// The unit is too large to be held. What is written of it from here on has no ids.
void SinkSession::spill() {
  send(nullptr, true);
  spilled_ = true;
}

/// Sends what is pending, and the control record after it where one is given. `whole`: and waits until it is there.
void SinkSession::send(const ControlRecord* control, bool whole) {
  const std::size_t rows = pending_.size();
  if (!sending_ && places_.empty()) greatest_ = std::max(committedAt_, runs_.empty() ? 0 : runs_.back().second);
  if (control != nullptr) pending_.push_back(controlMessage(*control));
  included_.resize(pending_.size(), true);
  const auto beforeSend = [this, control, rows](std::size_t i, const std::vector<Place>&, std::size_t settled,
                                                OutMessage& message) {
    judgeUpTo(settled);
    if (control == nullptr || i != rows) return;
    ControlRecord record = *control;
    record.runs = runsWith(rows);
    message.body = controlJson(record);
  };
  for (bool done = false; !done;) {
    if (!std::exchange(sending_, true)) {
      log_->begin(pending_, places_, control != nullptr ? Order::chained : Order::free, beforeSend);
    }
    try {
      if (!whole) return log_->advance(stop_);
      log_->finish(stop_);
      judgeUpTo(rows);
      done = true;
    } catch (const SaltNeeded&) {
      // Of what follows nothing can count where it is either, or only what comes again: so it gets new ids as well.
      salt_ += fmt::format("-{}.{}", epoch_, unit_);
      for (std::size_t i = judged_; i < rows; ++i) {
        if (!pending_[i].id.empty()) pending_[i].id += fmt::format("-{}.{}", epoch_, unit_);
      }
      places_.resize(judged_);
    }
    sending_ = false;
  }
  runs_ = runsWith(rows);
  for (const OutMessage& message : pending_) bytesSinceShapes_ += message.bytes();
  if (control != nullptr) noteControl(places_.back().sequence, control->shapesAt == 0);
  forgetPending();
}

void SinkSession::forgetPending() noexcept {
  pending_.clear();
  places_.clear();
  included_.clear();
  judged_ = pendingBytes_ = lookAt_ = 0;
  sending_ = false;
}

/// The messages that count so far: those before this unit's pending ones, and of these the first `rows`.
std::vector<Run> SinkSession::runsWith(std::size_t rows) const {
  std::vector<Run> runs = runs_;
  for (std::size_t i = 0; i < rows; ++i) {
    if (included_[i]) addToRuns(runs, places_[i].sequence);
  }
  return runs;
}

void SinkSession::judgeUpTo(std::size_t settled) {
  for (; judged_ < settled; ++judged_) judge(places_[judged_]);
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
    const bool chained = !sending_ && pending_.size() <= kMostChained &&
                         std::all_of(pending_.begin(), pending_.end(), [](const auto& m) { return !m.id.empty(); }) &&
                         controlJson(record).size() + 48 * (pending_.size() + 1) <= partBytes_;
    if (chained) {
      send(&record, true);
    } else {
      if (!pending_.empty()) send(nullptr, true);
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
    salt_.clear();
  } catch (const ForeignWrite& by) {
    refuseFenced(by);
  }
}

void SinkSession::undo() noexcept {
  if (sending_) log_->abandon();
  forgetPending();
  runs_.clear();
  unitShapes_.clear();
  spilled_ = false;
  salt_.clear();
  now_ = committed_;
  lastPosition_.clear();
  samePosition_ = 0;
}

}  // namespace tidegate::nats::detail
