#include "electric/detail/shape_exchange.h"

#include <fmt/format.h>

#include <tuple>
#include <utility>

#include "tidegate/core/error.h"

namespace tidegate::electric::detail {

ShapeExchange::ShapeExchange(std::shared_ptr<ServerCore> core, std::shared_ptr<ShapeFeed::Impl> feed,
                             ShapeRequest request, ShapeGrant grant, http::Responder responder)
    : core_(std::move(core)),
      feed_(std::move(feed)),
      request_(std::move(request)),
      grant_(std::move(grant)),
      fields_(core_->options, feed_->hub.clock()),
      responder_(std::move(responder)),
      offset_(request_.offset) {}

ShapeExchange::~ShapeExchange() {
  if (!registered_) return;
  const std::lock_guard lock(core_->mutex);
  core_->waiting.erase(this);
}

template <class Part>
void ShapeExchange::guarded(Part&& part) {
  try {
    part();
  } catch (const BadParameter& bad) {
    refuse(shapeError(400, "Invalid request", bad.name, bad.why));
  } catch (const Error& e) {
    const bool busy = e.code() == ErrorCode::backPressure;
    if (e.code() == ErrorCode::permissionDenied) return refuse(shapeError(403, e.message()));
    if (!busy && e.code() != ErrorCode::storeUnavailable) throw;
    http::Response response = shapeError(busy ? 429 : 503, e.message());
    response.headers.set("retry-after", "1");
    refuse(std::move(response));
  }
}

void ShapeExchange::refuse(http::Response response) {
  if (stream_) return endStream();
  if (std::exchange(done_, true)) return;
  if (registered_) leave();
  responder_.send(std::move(response));
}

void ShapeExchange::run() {
  guarded([this] { begin(); });
}

void ShapeExchange::begin() {
  feed_->refresh();
  if (!resolve()) return;
  if (request_.from == ShapeRequest::From::beginning) return answerBeginning();
  if (request_.from == ShapeRequest::From::now) return answerNow();
  if (offset_.tx > 0) return readOn();
  const SnapshotPlace place = toPlace(offset_);
  auto snapshot = feed_->hub.snapshot(*shape_, place.snapshot);
  if (snapshot == nullptr) return mustRefetch(feed_->hub.renew(*shape_, request_.query.handle));
  answerSnapshot(std::move(snapshot), place.row);
}

bool ShapeExchange::resolve() {
  ShapeHub& hub = feed_->hub;
  // A table whose columns change in between is looked at again.
  for (int attempt = 0; attempt < 5; ++attempt) {
    const Shape table = findShapeTable(hub, request_.query.table);
    if (table == nullptr) {
      throw BadParameter{"table", fmt::format("Table {} does not exist or is not served. If the table name contains "
                                              "capitals or special characters you must quote it.",
                                              request_.query.table.substr(0, 200))};
    }
    if (!hub.ready(table->schema.table)) {
      http::Response response = shapeError(503, "The table is still being read; ask again");
      response.headers.set("retry-after", "1");
      refuse(std::move(response));
      return false;
    }
    const ShapeDefinition definition = defineShape(table, request_, grant_, core_->options.where);
    if (!request_.query.handle.empty()) {
      std::tie(shape_, handle_) = hub.find(request_.query.handle, definition.identity());
      if (shape_ != nullptr) return true;
    }
    auto [shape, handle] = hub.open(definition, request_.query.handle.empty() ? request_.expiredHandle : std::string());
    if (shape == nullptr) continue;
    shape_ = std::move(shape);
    if (!request_.query.handle.empty()) {
      mustRefetch(handle);
      return false;
    }
    handle_ = handle;
    return true;
  }
  throw Error(ErrorCode::storeUnavailable, Retry::later, "the table's columns are changing; ask again");
}

void ShapeExchange::answer(ShapeAnswer answer) {
  if (std::exchange(done_, true)) return;
  if (registered_) leave();  // a shape must not hold on to who no longer waits
  answer.schema = answer.status < 400 ? schemaJson(shape_->definition) : std::string();
  responder_.send(fields_.answer(request_, std::move(answer)));
}

void ShapeExchange::mustRefetch(const std::string& handle) {
  if (stream_) return endStream();
  answer({.status = 409, .handle = handle, .body = std::string(kMustRefetch)});
}

void ShapeExchange::answerBeginning() {
  if (request_.changesOnly) return answer({.handle = handle_, .offset = toText(feed_->hub.last()), .body = "[]"});
  auto snapshot = feed_->hub.beginSnapshot(*shape_);
  // Ended since it was found: what is there now has another handle.
  if (snapshot == nullptr) return begin();
  answerSnapshot(std::move(snapshot), 0);
}

void ShapeExchange::answerSnapshot(std::shared_ptr<const TableSnapshot> snapshot, std::uint32_t row) {
  const ShapeFeedOptions& options = feed_->hub.options();
  const ShapeDefinition& what = shape_->definition;
  std::string body = "[";
  std::vector<Value> values;
  std::size_t at = row;
  for (std::size_t seen = 0; at < snapshot->rows.size(); ++at, ++seen) {
    if (seen >= options.chunkRows || body.size() >= options.chunkBytes) break;
    unpackRow(*snapshot->rows[at], values);
    if (!what.where.matches(values)) continue;
    if (body.size() > 1) body += ',';
    writeSnapshotRow(what, shape_->texts, keyOf(*what.table, values), values, body);
  }
  body += ']';
  const bool whole = at >= snapshot->rows.size();
  const ShapeOffset next = whole ? snapshot->at : toOffset({snapshot->id, static_cast<std::uint32_t>(at)});
  answer({.handle = handle_, .offset = toText(next), .body = std::move(body)});
}

void ShapeExchange::answerNow() {
  const ShapeOffset last = feed_->hub.last();
  answer({.handle = handle_,
          .offset = toText(last),
          .upToDate = true,
          .noChanges = true,
          .body = "[" + upToDate(last.tx) + "]"});
}

void ShapeExchange::readOn() {
  const ShapeReading reading = feed_->hub.read(*shape_, offset_);
  handle_ = reading.handle;
  switch (reading.kind) {
    case ShapeReading::tooOld:
      return mustRefetch(feed_->hub.renew(*shape_, request_.query.handle));
    case ShapeReading::gone:
      resolve();  // tells of the one that is there instead
      return;
    case ShapeReading::outOfBounds:
      throw BadParameter{"offset", "out of bounds for this shape"};
    case ShapeReading::found:
      break;
  }
  if (request_.query.live && request_.events) return beginStream();
  if (!request_.query.live || !reading.piece.messages.empty()) return answerFound(reading);
  if (core_->finishing) return answerNoChanges();
  if (!await()) return readOn();
  if (done_ || std::exchange(timed_, true)) return;
  responder_.after(core_->options.longPoll, [self = shared_from_this()] { self->timedOut(); });
  responder_.onGone([self = shared_from_this()] { self->leave(); });
}

void ShapeExchange::answerFound(const ShapeReading& reading) {
  std::string body = "[";
  for (const auto& message : reading.piece.messages) {
    if (body.size() > 1) body += ',';
    body += *message;
  }
  const bool complete = reading.piece.complete;
  if (complete) {
    if (body.size() > 1) body += ',';
    body += upToDate(reading.last.tx);
  }
  body += ']';
  // Past what is not of this shape: a later place costs nothing, and keeps clear of what is dropped first.
  const ShapeOffset end = complete ? std::max(reading.last, reading.piece.end) : reading.piece.end;
  const ShapeOffset next = end.op == kWholeTransaction ? ShapeOffset{end.tx, 0} : end;
  answer({.handle = handle_, .offset = toText(next), .upToDate = complete, .body = std::move(body)});
}

void ShapeExchange::answerNoChanges() {
  const ShapeReading reading = feed_->hub.read(*shape_, offset_);
  answer({.handle = reading.handle,
          .offset = request_.offsetText,
          .upToDate = true,
          .noChanges = true,
          .body = "[" + upToDate(reading.last.tx) + "]"});
}

bool ShapeExchange::await() {
  if (!registered_) {
    const std::lock_guard lock(core_->mutex);
    if (core_->waiting.size() >= core_->options.maxWaiting) {
      throw Error(ErrorCode::storeUnavailable, Retry::later, "too many requests are waiting; ask again");
    }
    core_->waiting.emplace(this, weak_from_this());
    registered_ = true;
  }
  if (!feed_->hub.wait(*shape_, offset_, shared_from_this())) return false;
  // What was committed since the refresh found nobody waiting.
  feed_->refresh();
  return true;
}

void ShapeExchange::wake() {
  responder_.post([self = shared_from_this()] { self->woken(); });
}

void ShapeExchange::woken() {
  if (done_) return;
  guarded([this] { stream_ ? feedStream() : readOn(); });
}

void ShapeExchange::timedOut() {
  leave();
  answerNoChanges();
}

void ShapeExchange::leave() {
  if (shape_ != nullptr) feed_->hub.cancel(*shape_, this);
}

}  // namespace tidegate::electric::detail
