#include "tidegate/source/ingest_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "source/detail/row_shape.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace config_detail {

constexpr std::size_t kMaxNameBytes = 200;  // "ingest:<name>" stays within the gateway's 255
constexpr std::size_t kMaxTableBytes = 255;
constexpr std::size_t kMaxPageRows = 1'000'000;
constexpr std::chrono::milliseconds kMaxDuration{std::chrono::hours{24 * 3650}};

struct Checker {
  std::string where;

  void require(bool ok, std::string_view field, std::string_view rule) const {
    if (!ok) throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("{}: {} {}", where, field, rule));
  }
  void name(std::string_view text, std::string_view field, std::size_t maxBytes) const {
    require(!text.empty(), field, "is empty");
    require(text.size() <= maxBytes, field, fmt::format("is longer than {} bytes", maxBytes));
    require(isUtf8(text) && text.find('\0') == std::string_view::npos, field, "must be UTF-8 without NUL");
  }
  void duration(std::chrono::milliseconds value, std::string_view field) const {
    require(value.count() >= 0 && value <= kMaxDuration, field, "must be from 0 to ten years");
  }
};

void check(const CursorStrategy& s, Dialect dialect, const Checker& c) {
  c.name(s.cursorColumn, "strategy.cursorColumn", kMaxTableBytes);
  c.duration(s.lookback, "strategy.lookback");
  c.require(s.pageRows >= 1 && s.pageRows <= kMaxPageRows, "strategy.pageRows", "must be from 1 to 1,000,000");
  c.require(s.lookbackRows <= 100 * kMaxPageRows, "strategy.lookbackRows", "must be at most 100,000,000");
  c.require(!s.commitHorizon || dialect != Dialect::sqlite, "strategy.commitHorizon",
            "is for Postgres and MySQL: SQLite has one writer, whose rows appear in commit order");
}

void check(const DiffStrategy& s, Dialect, const Checker& c) {
  c.require(!std::isnan(s.maxDeleteFraction) && s.maxDeleteFraction >= 0 && s.maxDeleteFraction <= 1,
            "strategy.maxDeleteFraction", "must be from 0 to 1");
}

void check(const IngestTableConfig& t, Dialect dialect, const Checker& c) {
  c.require(!t.rowIdColumns.empty(), "rowIdColumns", "is empty: name the column or columns that identify a row");
  std::set<std::string_view> seen;
  for (const std::string& column : t.rowIdColumns) {
    c.name(column, "rowIdColumns", kMaxTableBytes);
    c.require(seen.insert(column).second, "rowIdColumns", fmt::format("names \"{}\" twice", column));
  }
  try {
    wrappableQuery(dialect, t.query);
  } catch (const Error& e) {
    c.require(false, "query", "cannot be used: " + e.message());
  }
  std::visit([&](const auto& s) { check(s, dialect, c); }, t.strategy);
}

}  // namespace config_detail

void validate(const IngestSourceConfig& config) {
  using config_detail::Checker;
  const Checker source{fmt::format("source \"{}\"", config.name)};
  source.name(config.name, "name", config_detail::kMaxNameBytes);
  source.require(static_cast<bool>(config.query), "query", "is empty: give a query function");
  source.require(!config.tables.empty(), "tables", "is empty");
  source.duration(config.interval, "interval");
  source.duration(config.maxBackoff, "maxBackoff");
  source.duration(config.queryTimeout, "queryTimeout");
  source.require(config.pushDeltas >= 1, "pushDeltas", "must be at least 1");
  std::set<std::string_view> tables;
  for (const IngestTableConfig& table : config.tables) {
    const Checker c{fmt::format("source \"{}\", table \"{}\"", config.name, table.table)};
    c.name(table.table, "table", config_detail::kMaxTableBytes);
    c.require(tables.insert(table.table).second, "table", "appears twice in this source");
    config_detail::check(table, config.query.dialect(), c);
  }
}

std::string rowIdOf(const std::vector<Value>& keyValues) {
  if (keyValues.empty()) throw Error(ErrorCode::rowIdInvalid, Retry::never, "a row id needs at least one key value");
  std::vector<const Value*> key;
  std::vector<std::string> names;
  for (const Value& v : keyValues) {
    key.push_back(&v);
    names.push_back(fmt::format("#{}", names.size() + 1));
  }
  std::string id;
  detail::appendRowId(key, names, id);
  return id;
}

}  // namespace tidegate
