#include <algorithm>

#include "config_reader.h"

namespace {

using nlohmann::json;

EngineConfig::Kind kindOf(const std::string& url) {
  const auto begins = [&](const char* scheme) { return url.starts_with(scheme); };
  if (begins("postgresql://") || begins("postgres://")) return EngineConfig::Kind::postgres;
  if (begins("mysql://") || begins("mariadb://")) return EngineConfig::Kind::mysql;
  return begins("sqlite:") ? EngineConfig::Kind::sqlite : EngineConfig::Kind::unknown;
}

/// A database: "sqlite:PATH" as it is, since that is no secret; else a secret.
EngineConfig::Place database(const json& item, const std::string& at, const char* name, ConfigReader& reader) {
  EngineConfig::Place place;
  std::string text;
  reader.text(item, at, name, text);
  if (text.starts_with("sqlite:")) {
    place.url = text;
  } else {
    reader.secret(item, at, name, place.url);
  }
  place.kind = kindOf(place.url);
  const bool usable = place.kind != EngineConfig::Kind::unknown && place.url != "sqlite:";
  reader.needed(place.url.empty() || usable, at + "/" + name,
                "must begin with postgresql://, mysql://, mariadb:// or sqlite: and a path");
  return place;
}

/// A table that is polled: its name alone, or how to poll it.
void readPolledTable(const json& item, const std::string& at, ConfigReader& reader, EngineConfig& engine) {
  EngineConfig::Table table;
  if (item.is_string()) {
    table.name = item.get<std::string>();
  } else if (!item.is_object()) {
    return reader.wrong(at, "must be a table's name, or an object with \"table\", \"key\" and \"cursor\"");
  } else if (reader.object(item, at, {"table", "key", "cursor"})) {
    reader.text(item, at, "table", table.name);
    reader.text(item, at, "cursor", table.cursor);
    reader.texts(item, at, "key", table.key);
    reader.needed(!item.contains("key") || !table.key.empty(), at + "/key", "needs the columns of the table's key");
  } else {
    return;
  }
  if (table.key.empty()) table.key = {"id"};
  reader.needed(!table.name.empty(), at, "needs a table's name");
  engine.tables.push_back(std::move(table));
}

void readTables(const json& item, const std::string& at, ConfigReader& reader, EngineConfig& engine) {
  const std::size_t before = reader.mistakes();
  reader.each(item, at, "tables", [&](const json& each, const std::string& place) {
    if (engine.polled()) return readPolledTable(each, place, reader, engine);
    if (!each.is_string() || each.get<std::string>().empty()) {
      return reader.wrong(place, "must be a table's name: how to read it is for sources that are polled");
    }
    engine.tables.push_back({.name = each.get<std::string>()});
  });
  reader.needed(!engine.tables.empty() || reader.mistakes() > before, at,
                "needs tables, such as [\"public.users\"], or [{\"table\": \"users\", \"cursor\": \"updated_at\"}]");
  for (std::size_t i = 0; i < engine.tables.size(); ++i) {
    const bool again = std::any_of(engine.tables.begin(), engine.tables.begin() + static_cast<std::ptrdiff_t>(i),
                                   [&](const auto& other) { return other.name == engine.tables[i].name; });
    reader.needed(!again, at + "/tables", "names " + engine.tables[i].name + " twice: take one out");
  }
}

void readReplication(const json& item, const std::string& at, ConfigReader& reader, EngineConfig& engine) {
  reader.text(item, at, "slot", engine.slot);
  reader.text(item, at, "publication", engine.publication);
  if (engine.slot.empty()) engine.slot = "tidegate_" + engine.name;
  if (engine.publication.empty()) engine.publication = engine.slot;
  reader.needed(engine.slot.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos, at,
                "its slot \"" + engine.slot + "\" may have a-z 0-9 _ alone: give \"slot\"");
}

}  // namespace

void readEngine(const json& item, const std::string& at, ConfigReader& reader, ServerConfig& out) {
  if (!reader.object(item, at,
                     {"name", "url", "slot", "publication", "tables", "interval_seconds", "into", "on_failure"}))
    return;
  EngineConfig engine;
  reader.text(item, at, "name", engine.name);
  engine.from = database(item, at, "url", reader);
  reader.needed(isName(engine.name), at, "needs a name of 1 to 64 of A-Z a-z 0-9 _ -");
  for (const EngineConfig& other : out.engines) {
    reader.needed(other.name != engine.name, at + "/name", "is another engine's name: choose another");
  }
  reader.needed(item.contains("url"), at,
                "needs a url: env:NAME or file:PATH of postgresql://… or mysql://…, or \"sqlite:PATH\"");
  readTables(item, at, reader, engine);
  reader.number(item, at, "interval_seconds", 1, 86'400, engine.intervalSeconds);
  if (engine.polled()) {
    for (const char* name : {"slot", "publication"}) {
      reader.needed(!item.contains(name), at + "/" + name, "is for PostgreSQL, which is not polled: take it out");
    }
  } else {
    reader.needed(!item.contains("interval_seconds"), at + "/interval_seconds",
                  "is for sources that are polled, mysql:// and sqlite: take it out");
    readReplication(item, at, reader, engine);
  }
  std::string onFailure = "isolate";
  reader.text(item, at, "on_failure", onFailure);
  reader.needed(
      onFailure == "isolate" || onFailure == "dead_letter", at + "/on_failure",
      "must be \"isolate\" (the engine waits for an operator) or \"dead_letter\" (refused rows are put aside)");
  engine.deadLetters = onFailure == "dead_letter";
  if (item.contains("into")) engine.into = database(item, at, "into", reader);
  out.engines.push_back(std::move(engine));
}
