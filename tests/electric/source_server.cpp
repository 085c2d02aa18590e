#include "electric/source_server.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tidegate/core/json.h"

namespace tidegate::electric::test {
namespace {

constexpr std::string_view kRefetch = R"([{"headers":{"control":"must-refetch"}}])";

std::string valueIn(const std::vector<std::pair<std::string, std::string>>& query, std::string_view name) {
  for (const auto& [key, value] : query) {
    if (key == name) return value;
  }
  return {};
}

http::Response errorAnswer(int status, const std::string& field, const std::string& why) {
  return {.status = status,
          .headers = {{"content-type", "application/json"}},
          .body = R"({"message":"Invalid request","errors":{")" + field + R"(":[")" + why + R"("]}})"};
}

std::string jsonOf(const TextRow& row) {
  std::string out = "{";
  for (const auto& [name, value] : row) {
    if (out.size() > 1) out += ',';
    appendJsonString(name, out);
    out += ':';
    if (value)
      appendJsonString(*value, out);
    else
      out += "null";
  }
  return out + "}";
}

}  // namespace

FakeElectric::FakeElectric(std::vector<ServedTable> tables, FakeOptions options)
    : options_(options), random_(options.seed) {
  for (ServedTable& table : tables) tables_[table.name] = {table};
  server_ = std::make_unique<http::Server>(
      http::ServerOptions{}, [this](http::Request&& r, http::Responder a) { handle(std::move(r), std::move(a)); });
  server_->start();
}

FakeElectric::~FakeElectric() { server_->stop(std::chrono::milliseconds(0)); }

std::string FakeElectric::keyText(const std::string& table, const TextRow& row) const {
  std::string key;
  const Table& found = tables_.at(table);
  for (const std::string& column : found.served.key) key += "/\"" + row.at(column).value_or("") + "\"";
  return "\"public\".\"" + table + "\"" + (key.empty() ? "/" + jsonOf(row) : key);
}

bool FakeElectric::matches(const ShapeLog& shape, const TextRow& row) const {
  const auto at = conditions_.find(shape.where);
  return at == conditions_.end() || at->second(row);
}

bool FakeElectric::sends(const ShapeLog& shape, const std::string& column) const {
  return shape.columns.empty() || ("," + shape.columns + ",").find("," + column + ",") != std::string::npos;
}

std::string FakeElectric::message(const ShapeLog& shape, const std::string& operation, const TextRow& row,
                                  const TextRow* old, const TextRow* changedFrom, std::optional<LogOffset> at,
                                  bool last, const std::string& more) const {
  const std::vector<std::string>& key = tables_.at(shape.table).served.key;
  const auto isKey = [&](const std::string& c) { return std::find(key.begin(), key.end(), c) != key.end(); };
  TextRow value, oldValue;
  for (const auto& [column, text] : row) {
    if (!sends(shape, column)) continue;
    const bool changed = changedFrom == nullptr || changedFrom->at(column) != text;
    const bool keyOnly = operation == "delete" && !key.empty();
    if (shape.full || isKey(column) || (changed && !keyOnly)) value[column] = text;
    if (old != nullptr && old->at(column) != text) oldValue[column] = old->at(column);
  }
  std::string out = "{\"key\":";
  appendJsonString(keyText(shape.table, row), out);
  out += ",\"value\":" + jsonOf(value);
  if (operation == "update" && shape.full) out += ",\"old_value\":" + jsonOf(oldValue);
  out += ",\"headers\":{\"operation\":\"" + operation + "\",\"relation\":[\"public\",\"" + shape.table + "\"]" + more;
  if (at && options_.tellPlaces) {
    out += ",\"lsn\":\"" + std::to_string(at->tx) + "\",\"op_position\":" + std::to_string(at->op);
    out += ",\"txids\":[" + std::to_string(at->tx / 10) + "]";
    if (last && options_.tellLast) out += ",\"last\":true";
  }
  return out + "}}";
}

std::string FakeElectric::upToDate() const {
  std::string out = R"({"headers":{"control":"up-to-date")";
  if (options_.tellSeen) out += ",\"global_last_seen_lsn\":\"" + std::to_string(lsn_) + "\"";
  return out + "}}";
}

FakeElectric::ShapeLog& FakeElectric::makeShape(const std::string& table, const std::string& where,
                                                const std::string& columns, bool full) {
  ShapeLog& shape = shapes_.emplace_back();
  shape.table = table;
  shape.where = where;
  shape.columns = columns;
  shape.full = full;
  shape.handle = std::to_string(next_ * 7919) + "-" + std::to_string(1'700'000'000'000'000 + next_);
  ++next_;
  for (const auto& [key, row] : tables_.at(table).rows) {
    if (!matches(shape, row)) continue;
    shape.snapshot.push_back(message(shape, "insert", row, nullptr, nullptr, std::nullopt, false, ""));
  }
  return shape;
}

LogOffset FakeElectric::endOf(const ShapeLog& shape) const {
  return shape.log.empty() ? LogOffset{0, LogOffset::kInfinity} : shape.log.back().at;
}

void FakeElectric::append(ShapeLog& shape, const TableChange& change, const std::optional<TextRow>& old, LogOffset at,
                          bool last) {
  const bool was = old && matches(shape, *old);
  const bool is = change.op != TableChange::Op::erase && matches(shape, change.row);
  const auto add = [&](LogOffset place, std::string text) { shape.log.push_back({place, std::move(text)}); };
  if (!was && !is) return;
  if (!was) return add(at, message(shape, "insert", change.row, nullptr, nullptr, at, last, ""));
  if (!is) return add(at, message(shape, "delete", *old, nullptr, nullptr, at, last, ""));
  const std::string from = keyText(shape.table, *old), to = keyText(shape.table, change.row);
  if (from == to) return add(at, message(shape, "update", change.row, &*old, &*old, at, last, ""));
  std::string moved = ",\"key_change_to\":", came = ",\"key_change_from\":";
  appendJsonString(to, moved);
  appendJsonString(from, came);
  add(at, message(shape, "delete", *old, nullptr, nullptr, at, false, moved));
  const LogOffset second{at.tx, at.op + 1};
  add(second, message(shape, "insert", change.row, nullptr, nullptr, second, last, came));
}

std::int64_t FakeElectric::commit(const std::vector<TableChange>& changes) {
  std::vector<std::string> touched;
  std::int64_t place = 0;
  {
    const std::lock_guard lock(mutex_);
    place = lsn_ += 10;
    std::uint64_t op = 0;
    for (std::size_t i = 0; i < changes.size(); ++i, op += 2) {
      const TableChange& change = changes[i];
      auto& rows = tables_.at(change.table).rows;
      const std::string was = keyText(change.table, change.before.empty() ? change.row : change.before);
      std::optional<TextRow> old;
      if (const auto at = rows.find(was); at != rows.end()) old = at->second;
      if (old) rows.erase(was);
      if (change.op != TableChange::Op::erase) rows[keyText(change.table, change.row)] = change.row;
      const bool last = std::none_of(changes.begin() + static_cast<std::ptrdiff_t>(i) + 1, changes.end(),
                                     [&](const TableChange& later) { return later.table == change.table; });
      for (ShapeLog& shape : shapes_) {
        if (shape.table == change.table) append(shape, change, old, {place, op}, last);
      }
      touched.push_back(change.table);
    }
  }
  std::sort(touched.begin(), touched.end());
  touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  for (const std::string& table : touched) wake(table, false);
  return place;
}

std::string FakeElectric::schemaOf(const ShapeLog& shape) const {
  nlohmann::json schema = nlohmann::json::object();
  const auto all = nlohmann::json::parse(tables_.at(shape.table).served.schema);
  for (const auto& [name, column] : all.items()) {
    if (sends(shape, name)) schema[name] = column;
  }
  return schema.dump();
}

http::Headers FakeElectric::fields(const ShapeLog& shape, LogOffset end, bool live) const {
  http::Headers headers{{"content-type", "application/json"},
                        {"electric-handle", shape.handle},
                        {"electric-offset", reading::toText(end)}};
  if (live)
    headers.add("electric-cursor", std::to_string(next_ + queries_.size()));
  else
    headers.add("electric-schema", schemaOf(shape));
  return headers;
}

http::Response FakeElectric::logAnswer(ShapeLog& shape, LogOffset from, bool live) {
  std::string body = "[";
  LogOffset end = from;
  std::size_t count = 0;
  bool whole = true;
  for (const LogEntry& entry : shape.log) {
    if (entry.at <= from) continue;
    if (count == options_.logChunk) {
      whole = false;
      break;
    }
    body += (count++ == 0 ? "" : ",") + entry.message;
    end = entry.at;
  }
  if (whole) body += (count == 0 ? "" : ",") + upToDate();
  http::Response answer{.headers = fields(shape, end, live), .body = body + "]"};
  if (whole) answer.headers.add("electric-up-to-date", "");
  return answer;
}

void FakeElectric::answerSnapshot(ShapeLog& shape, std::size_t chunk, http::Responder& answer) {
  const std::size_t begin = chunk * options_.snapshotChunk;
  const std::size_t end = std::min(shape.snapshot.size(), begin + options_.snapshotChunk);
  std::string body = "[";
  for (std::size_t i = begin; i < end; ++i) body += (i == begin ? "" : ",") + shape.snapshot[i];
  const LogOffset next = end == shape.snapshot.size() ? LogOffset{0, LogOffset::kInfinity} : LogOffset{0, chunk};
  answer.send({.headers = fields(shape, next, false), .body = body + "]"});
}

FakeElectric::ShapeLog* FakeElectric::shapeFor(const Query& query) {
  const std::string table = valueIn(query, "table"), where = valueIn(query, "where");
  const std::string columns = valueIn(query, "columns");
  const bool full = valueIn(query, "replica") == "full";
  for (ShapeLog& shape : shapes_) {
    if (shape.table == table && shape.where == where && shape.columns == columns && shape.full == full) return &shape;
  }
  return tables_.contains(table) ? &makeShape(table, where, columns, full) : nullptr;
}

void FakeElectric::handle(http::Request&& request, http::Responder answer) {
  std::function<std::optional<http::Response>(const http::Request&)> script;
  {
    const std::lock_guard lock(mutex_);
    queries_.push_back(request.query);
    script = script_;
  }
  if (script) {
    if (auto scripted = script(request)) return answer.send(*std::move(scripted));
  }
  const std::lock_guard lock(mutex_);
  serve(http::queryParameters(request.query), std::move(answer));
}

void FakeElectric::serve(const Query& query, http::Responder answer) {
  ShapeLog* const shape = shapeFor(query);
  if (shape == nullptr) return answer.send(errorAnswer(400, "table", "does not exist"));
  const std::string handle = valueIn(query, "handle");
  if (!handle.empty() && handle != shape->handle) {
    return answer.send({.status = 409, .headers = {{"electric-handle", shape->handle}}, .body = std::string(kRefetch)});
  }
  const auto from = reading::offsetFromText(valueIn(query, "offset"));
  if (!from) return answer.send(errorAnswer(400, "offset", "has invalid format"));
  if (!from->isStart() && handle.empty()) return answer.send(errorAnswer(400, "handle", "can't be blank"));
  if (from->isStart()) return answerSnapshot(*shape, 0, answer);
  if (from->tx == 0 && from->op != LogOffset::kInfinity) {
    return answerSnapshot(*shape, static_cast<std::size_t>(from->op) + 1, answer);
  }
  if (*from > std::max(endOf(*shape), LogOffset{lsn_, 0})) {
    return answer.send(errorAnswer(400, "offset", "out of bounds for this shape"));
  }
  const bool live = valueIn(query, "live") == "true", events = valueIn(query, "live_sse") == "true";
  if (!live || (!events && endOf(*shape) > *from)) return answer.send(logAnswer(*shape, *from, live));
  wait(*shape, *from, events, std::move(answer));
}

void FakeElectric::wait(ShapeLog& shape, LogOffset from, bool events, http::Responder answer) {
  const std::uint64_t number = next_++;
  Waiter& waiter = waiters_[number];
  waiter.shape = &shape;
  waiter.at = from;
  waiter.events = events;
  if (!events) {
    waiter.responder.emplace(std::move(answer));
    waiter.responder->after(options_.longPoll, [this, number] { timedOut(number); });
    waiter.responder->onGone([this, number] {
      const std::lock_guard lock(mutex_);
      waiters_.erase(number);
    });
    return;
  }
  http::Headers headers = fields(shape, from, true);
  headers.set("content-type", "text/event-stream");
  waiter.body.emplace(answer.stream(200, headers));
  if (endOf(shape) > from) feed(waiter);
}

void FakeElectric::writeEvents(const http::BodyStream& body, const std::string& text) {
  if (!options_.splitEvents) {
    body.write(text);
    return;
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = 1 + random_.index(40);
    body.write(text.substr(at, size));
    at += size;
  }
}

/// Sends an event stream what it lacks.
void FakeElectric::feed(Waiter& waiter) {
  std::string text;
  for (const LogEntry& entry : waiter.shape->log) {
    if (entry.at <= waiter.at) continue;
    text += "data: " + entry.message + "\n\n";
    waiter.at = entry.at;
  }
  writeEvents(*waiter.body, text + "data: " + upToDate() + "\n\n");
}

/// What waits for a table's news gets it; where its logs were ended, that.
void FakeElectric::wake(const std::string& table, bool rotated) {
  std::vector<std::pair<http::Responder, http::Response>> answers;
  {
    const std::lock_guard lock(mutex_);
    for (auto at = waiters_.begin(); at != waiters_.end();) {
      Waiter& waiter = at->second;
      const bool news = rotated || endOf(*waiter.shape) > waiter.at;
      if (waiter.shape->table != table || !news) {
        ++at;
      } else if (waiter.events && !rotated) {
        feed(waiter);
        ++at;
      } else if (waiter.events) {
        waiter.body->end();
        at = waiters_.erase(at);
      } else {
        http::Response answer = rotated ? http::Response{.status = 409, .body = std::string(kRefetch)}
                                        : logAnswer(*waiter.shape, waiter.at, true);
        answers.emplace_back(std::move(*waiter.responder), std::move(answer));
        at = waiters_.erase(at);
      }
    }
    if (rotated) shapes_.remove_if([&](const ShapeLog& shape) { return shape.table == table; });
  }
  for (auto& [responder, answer] : answers) responder.send(std::move(answer));
}

void FakeElectric::timedOut(std::uint64_t number) {
  std::optional<http::Responder> responder;
  http::Response answer;
  {
    const std::lock_guard lock(mutex_);
    const auto at = waiters_.find(number);
    if (at == waiters_.end()) return;
    answer = logAnswer(*at->second.shape, at->second.at, true);
    responder = std::move(at->second.responder);
    waiters_.erase(at);
  }
  responder->send(std::move(answer));
}

void FakeElectric::rotate(const std::string& table) { wake(table, true); }

void FakeElectric::truncate(const std::string& table) {
  {
    const std::lock_guard lock(mutex_);
    tables_.at(table).rows.clear();
    lsn_ += 10;
  }
  rotate(table);
}

bool FakeElectric::cut() {
  std::map<std::uint64_t, Waiter> cutOff;
  {
    const std::lock_guard lock(mutex_);
    cutOff.swap(waiters_);
  }
  for (auto& [number, waiter] : cutOff) {
    const bool events = waiter.body.has_value();
    if (!events) waiter.body = waiter.responder->stream(200, {{"content-type", "application/json"}});
    // Once something has gone out: libcurl asks again by itself where nothing came.
    const http::BodyStream body = *waiter.body;
    body.onDrained([body] { body.abort(); });
    body.write(events ? ": cut\n\n" : "[");
  }
  return !cutOff.empty();
}

void FakeElectric::forgetAfter(const std::string& table, LogOffset place) {
  const std::lock_guard lock(mutex_);
  lsn_ = std::min(lsn_, place.tx);
  for (ShapeLog& shape : shapes_) {
    if (shape.table == table) std::erase_if(shape.log, [&](const LogEntry& entry) { return entry.at > place; });
  }
}

void FakeElectric::addCondition(const std::string& where, std::function<bool(const TextRow&)> holds) {
  const std::lock_guard lock(mutex_);
  conditions_[where] = std::move(holds);
}

void FakeElectric::setScript(std::function<std::optional<http::Response>(const http::Request&)> script) {
  const std::lock_guard lock(mutex_);
  script_ = std::move(script);
}

std::map<std::string, TextRow> FakeElectric::rows(const std::string& table) const {
  const std::lock_guard lock(mutex_);
  return tables_.at(table).rows;
}

std::vector<std::string> FakeElectric::queries() const {
  const std::lock_guard lock(mutex_);
  return queries_;
}

std::size_t FakeElectric::waiting() const {
  const std::lock_guard lock(mutex_);
  return waiters_.size();
}

std::string FakeElectric::handleOf(const std::string& table) const {
  const std::lock_guard lock(mutex_);
  for (const ShapeLog& shape : shapes_) {
    if (shape.table == table) return shape.handle;
  }
  return {};
}

std::int64_t FakeElectric::lastLsn() const {
  const std::lock_guard lock(mutex_);
  return lsn_;
}

}  // namespace tidegate::electric::test
