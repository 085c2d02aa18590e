#include <fmt/format.h>

#include <algorithm>

#include "electric/detail/source_reader.h"

namespace tidegate::electric::reading {
namespace {

[[noreturn]] void wrongPage(const std::string& what) { throw Error(ErrorCode::parseError, Retry::later, what); }

LogOffset placeOf(const WireMessage& message) { return {*message.lsn, *message.position}; }

/// Whether each row says where it stands, and the server agrees: then a row's own place is where a request may go on.
bool tellPlaces(const std::vector<WireMessage>& rows, LogOffset from, std::optional<LogOffset> end) {
  LogOffset last = from;
  for (const WireMessage& row : rows) {
    if (!row.lsn || !row.position || placeOf(row) <= last) return false;
    last = placeOf(row);
  }
  // "tx_0" may stand for the whole transaction: operations are counted from 1 then.
  return !end || *end >= last || (end->tx == last.tx && end->op == 0);
}

bool sameRowsIn(const TableShape& a, const TableShape& b) {
  if (a.key != b.key || a.schema.columns.size() != b.schema.columns.size()) return false;
  for (std::size_t i = 0; i < a.schema.columns.size(); ++i) {
    const ColumnSchema &left = a.schema.columns[i], &right = b.schema.columns[i];
    if (left.name != right.name || left.kind != right.kind) return false;
  }
  return true;
}

}  // namespace

ShapePlace ShapeReader::placeAt(LogOffset at, std::uint32_t index, std::uint32_t mark) const {
  return {
      .handle = handle_, .epoch = epoch_, .reading = baseline_ ? reading_ : 0, .at = at, .index = index, .mark = mark};
}

void ShapeReader::push(ReadItem item) {
  bytes_ += item.bytes();
  items_.push_back(std::move(item));
}

/// @return false where the answer is not of the log that is read: it was dealt with.
bool ShapeReader::acceptHandle(const http::Headers& headers) {
  const std::string handle(headers.get("electric-handle"));
  if (handle.empty()) wrongPage("it has no electric-handle; is url that of a Shape API?");
  if (handle == expired_) {
    stale();
    return false;
  }
  if (!handle_.empty() && handle != handle_) {
    rotate(handle);
    return false;
  }
  if (handle_.empty()) {
    handle_ = handle;
    epoch_ = parts_.epochs.next();
  }
  mayRefetch_ = true;  // what follows it now is news to everybody
  return true;
}

void ShapeReader::adoptSchema(const http::Headers& headers) {
  const std::string_view text = headers.get("electric-schema");
  if (text.empty()) {
    if (!rows_) wrongPage("it has no electric-schema");
    return;
  }
  if (rows_ && text == schemaText_) return;
  RowReader next(parts_.shape, text);
  const bool midway = begun_ || !baseline_;
  const Shape before = rows_ ? rows_->shape() : told_;
  if (midway && before && !sameRowsIn(*before, *next.shape())) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the server changed the columns without ending the log; a new baseline is needed");
  }
  schemaText_ = text;
  // Within a log, what changed of a column's name for its type changes none of its rows.
  if (rows_ && midway) return;
  rows_.emplace(std::move(next));
}

/// The first piece of a table came.
void ShapeReader::begin() {
  if (!baseline_ || begun_) return;
  reading_ = parts_.epochs.next();
  const Shape now = rows_->shape();
  if (told_ && !(told_->schema == now->schema)) {
    auto change = std::make_shared<SchemaChange>();
    change->before = told_;
    push({.op = ChangeOp::schemaChange, .shape = now, .schemaChange = std::move(change), .place = placeAt({})});
    reading_ = parts_.epochs.next();
  }
  told_ = now;
  push({.op = ChangeOp::baselineBegin, .shape = now, .place = placeAt({})});
  begun_ = true;
}

void ShapeReader::note(WireMessage& message, Page& page) {
  switch (message.kind) {
    case WireKind::upToDate:
      page.upToDate = true;
      page.seenLsn = message.seenLsn;
      return;
    case WireKind::mustRefetch:
      page.refetch = true;
      return;
    case WireKind::other:
      return;
    default:
      page.rows.push_back(std::move(message));
  }
}

ShapeReader::Page ShapeReader::readPage(const ReadRequest& request, const http::Headers& headers,
                                        std::string_view body) {
  Page page;
  if (!body.empty()) readMessages(body, [&](WireMessage& message) { note(message, page); });
  page.upToDate = page.upToDate || body.empty() || headers.has("electric-up-to-date");
  if (const std::string* end = headers.find("electric-offset")) {
    page.end = offsetFromText(*end);
    if (!page.end) wrongPage(fmt::format("electric-offset is \"{}\"", end->substr(0, 60)));
  }
  page.placesTold = tellPlaces(page.rows, request.from, page.end);
  return page;
}

/// The last of the rows that were told before the stream began here shows whether these are the same.
void ShapeReader::needMark(const WireMessage& message) const {
  if (markOf(message) == skipMark_) return;
  throw Error(ErrorCode::positionLost, Retry::afterOperator,
              "the server's log is not the one that was read before; a new baseline is needed");
}

void ShapeReader::takeRow(const WireMessage& message, ShapePlace place, std::vector<ReadItem>& out) {
  ReadItem item;
  rows_->read(message, item);
  item.place = std::move(place);
  if (baseline_) {
    // A whole row is the row as it is there, whichever of the log's messages it was.
    if (item.op != ChangeOp::erase && item.unchanged.empty()) {
      item.op = ChangeOp::read;
      item.before.clear();
      item.beforeAbsent.clear();
    }
  } else if (item.place.index == 0) {
    item.lsn = *message.lsn;
    item.position = *message.position;
    item.last = message.last;
  }
  out.push_back(std::move(item));
}

void ShapeReader::takeRows(const ReadRequest& request, const Page& page) {
  std::vector<ReadItem> made;
  std::uint32_t skip = skip_, index = skipped_;
  for (const WireMessage& row : page.rows) {
    if (skip > 0) {
      ++index;
      if (--skip == 0) needMark(row);
    } else if (page.placesTold) {
      if (placeOf(row) > received_) takeRow(row, placeAt(placeOf(row)), made);
    } else {
      takeRow(row, placeAt(request.from, ++index, markOf(row)), made);
    }
  }
  // All of a page or, where anything is wrong with it, none.
  skip_ = skip;
  skipped_ = index;
  for (ReadItem& item : made) push(std::move(item));
}

/// Before anything of the page is taken.
void ShapeReader::needProgress(const ReadRequest& request, const Page& page) const {
  if (page.placesTold && !page.rows.empty()) return;
  const bool onward = page.end && *page.end > request.from;
  if (onward || (page.rows.empty() && (page.upToDate || request.waits()))) return;
  wrongPage(page.rows.empty() ? "it neither goes on nor ends: electric-offset is where the request began"
                              : "it has messages, but electric-offset is where the request began");
}

void ShapeReader::advance(const Page& page) {
  const LogOffset before = received_;
  if (page.placesTold && !page.rows.empty()) received_ = std::max(received_, placeOf(page.rows.back()));
  if (page.end) received_ = std::max(received_, *page.end);
  if (!page.rows.empty()) placesTold_ = page.placesTold;
  if (received_ > before) skipped_ = 0;
  if (page.upToDate && skip_ > 0) {
    throw Error(ErrorCode::positionLost, Retry::afterOperator,
                "the server's log is shorter than what was read before; a new baseline is needed");
  }
}

void ShapeReader::finishPage(const ReadRequest& request, const http::Headers& headers, const Page& page) {
  if (const std::string* cursor = headers.find("electric-cursor")) cursor_ = *cursor;
  seen_ = std::max(seen_, received_.tx - 1);
  succeeded();
  stales_ = 0;
  const bool news = !page.rows.empty();
  if (page.upToDate) {
    // A baseline ends with what the server has, not with what a cache remembers of it.
    const bool remembered = baseline_ && request.cacheKey == 0 && headers.has("age");
    bypassCache_ = remembered;
    if (!remembered) {
      rotations_ = 0;
      live_ = true;
      seen_ = std::max({seen_, received_.tx, page.seenLsn.value_or(request.lsnAtStart)});
      if (baseline_) {
        baseline_ = begun_ = false;
        push({.op = ChangeOp::baselineEnd, .shape = rows_->shape(), .place = placeAt(received_)});
      }
    }
  } else if (request.kind != RequestKind::probe) {
    live_ = false;
  }
  calm(request, news);
}

void ShapeReader::takePage(const ReadRequest& request, const http::Headers& headers, std::string_view body) {
  if (!acceptHandle(headers)) return;
  adoptSchema(headers);
  Page page = readPage(request, headers, body);
  if (page.refetch) return rotate({});
  needProgress(request, page);
  // Where another request was faster, only places tell what it brought: what has none is asked for again.
  if (!page.placesTold && request.from != received_) {
    live_ = false;
    return succeeded();
  }
  begin();
  takeRows(request, page);
  advance(page);
  finishPage(request, headers, page);
}

bool ShapeReader::onEventsBegin(const ReadRequest& request, const http::Headers& headers) {
  if (!isCurrent(request)) return false;
  if (!headers.get("content-type").starts_with("text/event-stream")) {
    pollsOnly_ = true;
    parts_.warn(fmt::format("shape \"{}\": the server sends no event streams, so that long polls are used", name()));
    return false;
  }
  try {
    if (!acceptHandle(headers)) return false;
  } catch (const Error& e) {
    fail(named(e.code(), e.retry(), "malformed answer: " + e.message()));
    return false;
  }
  if (const std::string* cursor = headers.find("electric-cursor")) cursor_ = *cursor;
  succeeded();
  return true;
}

void ShapeReader::onEvent(const ReadRequest& request, std::string_view data) {
  if (!isCurrent(request)) return;
  try {
    Page page;
    readMessages(data, [&](WireMessage& message) { note(message, page); });
    if (page.refetch) return rotate({});
    if (!tellPlaces(page.rows, eventsAt_, std::nullopt))
      wrongPage("an event does not say its place, or one that is past");
    if (!page.rows.empty()) eventsAt_ = placeOf(page.rows.back());
    page.placesTold = true;
    takeRows(request, page);
    received_ = std::max(received_, eventsAt_);
    seen_ = std::max(seen_, received_.tx - 1);
    if (page.upToDate) seen_ = std::max({seen_, received_.tx, page.seenLsn.value_or(-1)});
    eventsNews_ = true;
    succeeded();
  } catch (const Error& e) {
    pollsOnly_ = true;
    const bool wrong = e.code() == ErrorCode::parseError;
    fail(named(e.code(), wrong ? Retry::later : e.retry(), (wrong ? "malformed event: " : "") + e.message()));
  }
}

}  // namespace tidegate::electric::reading
