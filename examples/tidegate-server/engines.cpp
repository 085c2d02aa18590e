#include "engines.h"

#include <chrono>
#include <utility>

#include "tidegate/core/query.h"
#include "tidegate/mysql/query_fn.h"
#include "tidegate/mysql/sink.h"
#include "tidegate/postgres/sink.h"
#include "tidegate/postgres/source.h"
#include "tidegate/source/polling_source.h"
#include "tidegate/sqlite/dead_letters.h"
#include "tidegate/sqlite/query_fn.h"
#include "tidegate/sqlite/sink.h"
#include "tidegate/sqlite/snapshot_store.h"
#include "tidegate/sqlite/state_store.h"

using namespace tidegate;

namespace {

std::string pathOf(const EngineConfig::Place& place) { return place.url.substr(std::string("sqlite:").size()); }

QueryFn queryOf(const EngineConfig::Place& from) {
  if (from.kind == EngineConfig::Kind::sqlite) return sqlite::queryFn({.path = pathOf(from)});
  return mysql::queryFn({.url = from.url});
}

/// "database.table" are two names.
std::string selectAll(Dialect dialect, const std::string& table) {
  const std::size_t dot = table.find('.');
  std::string name = quoteIdentifier(dialect, table.substr(0, dot));
  if (dot != std::string::npos) name += '.' + quoteIdentifier(dialect, table.substr(dot + 1));
  return "SELECT * FROM " + name;
}

IngestTableConfig polledTable(Dialect dialect, const EngineConfig::Table& table) {
  IngestTableConfig out{.table = table.name, .query = selectAll(dialect, table.name), .rowIdColumns = table.key};
  if (!table.cursor.empty()) out.strategy = CursorStrategy{.cursorColumn = table.cursor};
  return out;
}

std::shared_ptr<SyncSource> pollingSource(const EngineConfig& engine, const std::string& data) {
  IngestSourceConfig config{.name = engine.name, .query = queryOf(engine.from)};
  config.interval = std::chrono::seconds(engine.intervalSeconds);
  for (const auto& table : engine.tables) config.tables.push_back(polledTable(config.query.dialect(), table));
  const std::string file = data + "/engine-" + engine.name;
  return std::make_shared<PollingSource>(std::move(config),
                                         PollingSourceOptions{.state = sqlite::stateStore(file + "-state.db"),
                                                              .snapshots = sqlite::snapshotStore(file + "-rows.db"),
                                                              .readQuery = queryOf(engine.from)});
}

std::shared_ptr<SyncSource> sourceOf(const EngineConfig& engine, const std::string& data) {
  if (engine.polled()) return pollingSource(engine, data);
  return postgres::source(
      {.connect = {.url = engine.from.url}, .slot = engine.slot, .publication = {.name = engine.publication}});
}

}  // namespace

std::shared_ptr<Sink> sinkOf(const EngineConfig::Place& into) {
  switch (into.kind) {
    case EngineConfig::Kind::postgres:
      return postgres::sink({.connect = {.url = into.url}});
    case EngineConfig::Kind::mysql:
      return mysql::sink({.connect = {.url = into.url}});
    default:
      return sqlite::sink({.path = pathOf(into)});
  }
}

std::shared_ptr<DeadLetters> lettersOf(const EngineConfig& engine, const std::string& data) {
  return engine.deadLetters ? sqlite::deadLetters(data + "/engine-" + engine.name + "-letters.db") : nullptr;
}

EngineOptions engineOptions(const EngineConfig& engine, const std::string& data, std::shared_ptr<Sink> sink,
                            std::shared_ptr<DeadLetters> letters) {
  PipelineSpec pipeline{.name = engine.name, .source = engine.name, .sink = std::move(sink)};
  if (letters) pipeline.onFailure = FailurePolicy::deadLetter;
  pipeline.deadLetters = std::move(letters);
  for (const auto& table : engine.tables) pipeline.tables.push_back({.table = table.name});
  return {.sources = {{.name = engine.name, .source = sourceOf(engine, data)}}, .pipelines = {std::move(pipeline)}};
}
