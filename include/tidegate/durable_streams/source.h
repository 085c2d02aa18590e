/// A durable stream as a SyncSource, so that any sink can take it (docs/sync-layer.md).
///
///     auto events = durable_streams::source({.server = {.url = "http://127.0.0.1:4437/v1/stream"},
///                                            .stream = "session-events",
///                                            .tables = {durable_streams::sessionEvents()}});
///     Engine engine({.sources = {{.name = "events", .source = events}},
///                    .pipelines = {{.name = "events to postgres", .source = "events",
///                                   .tables = {{.table = "session_events"}}, .sink = postgres::sink(…)}}});
///
/// Two kinds of table: *entities*, the rows that State Protocol messages of one type come to; and *events*, a row for
/// each message. Order is total: a position is an offset that the server told and the messages since then, with their
/// number in the stream, by which positions compare. A sink that keeps data and checkpoint in one transaction therefore
/// has each message exactly once.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/durable_streams/client.h"
#include "tidegate/source/backoff.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::durable_streams {

/// Where a column of an event table has its value from.
enum class EventPart {
  pointer,     ///< the first of `EventField::pointers` that the message has; null where it has none
  message,     ///< the whole message, as it was written
  streamName,  ///< `SourceOptions::name`
  offset,      ///< an offset of the stream, at or before the message: reading from there gives it again
  index,       ///< its place among the messages from that offset on, from 0
  number,      ///< its place among all messages of the stream, from 0 (with Start::now: since then)
  receivedAt   ///< when this process received it (UTC)
};

/// One column of an event table.
struct EventField {
  std::string column{};
  ValueKind kind = ValueKind::text;  ///< of a pointer. A text column takes other values than strings as their JSON
  EventPart part = EventPart::pointer;
  std::vector<std::string> pointers{};  ///< RFC 6901, e.g. "/user/id"
  bool required = false;                ///< a message without it is malformed
};

/// One table that a stream is read as.
struct StreamTable {
  TableSchema schema{};
  std::string type{};                ///< of entities; empty: the table's name
  std::vector<EventField> fields{};  ///< of events, in the order of the schema's columns; empty: a table of entities
};

/// Rows by State Protocol messages of one type.
/// @throws Error{invalidConfig} for a schema without columns or without a key.
StreamTable entityTable(TableSchema schema, std::string type = {});
/// A row for each message. `key` names columns of `fields`; take offset and index where the message has none of its
/// own. @throws Error{invalidConfig} for no fields, a repeated column, a key that is none, or a malformed pointer.
StreamTable eventTable(std::string table, std::vector<EventField> fields, std::vector<std::string> key);
/// The reference sync service's table: stream_name, ds_offset, ds_index (the key), event_key, event_type, operation,
/// payload (the message), received_at.
StreamTable sessionEvents(std::string table = "session_events");

/// Where a table begins that has no checkpoint yet.
enum class Start {
  beginning,  ///< with everything that the stream has
  now         ///< with what is appended from now on
};

/// What to do with a message that does not fit its table.
enum class Malformed {
  stop,  ///< Error{parseError, Retry::afterOperator} naming stream, offset and index (the default)
  skip   ///< it is left out, counted, and told to `SourceContext::onWarning`
};

/// What to do once the stream, or the place in it, is gone (404, 410, an offset that it does not know).
enum class Lost {
  stop,       ///< Error{tableNotFound, Retry::afterOperator}: what was read stays where it is (the default)
  rebaseline  ///< Error{positionLost}: the engine reads the stream anew, and takes out of the target what it lacks
};

struct SourceOptions {
  DurableStreamClientOptions server{};
  std::string stream{};  ///< below the server's URL, percent-encoded
  std::string name{};    ///< for rows and messages; empty: `stream`
  std::vector<StreamTable> tables{};
  Start start = Start::beginning;
  Live live = Live::automatic;
  bool createMissing = false;  ///< makes the stream (JSON) where there is none
  Malformed malformed = Malformed::stop;
  Lost lost = Lost::stop;
  std::vector<std::string> skipOrigins{};  ///< messages with one of these as `source` in their headers are left out
  std::size_t batchEvents = 1'000;         ///< events in one call of the handler, at most
  BackoffOptions backoff{};                ///< of new connections
};

/// A closed stream is read to its end; then the source says so once (`onWarning`) and waits for `stop`.
/// @throws Error{invalidConfig} for no stream, no table, a table named twice, or two tables of one type.
std::shared_ptr<SyncSource> source(SourceOptions options);

}  // namespace tidegate::durable_streams
