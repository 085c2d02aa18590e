#include "electric/detail/shape_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "electric/detail/table_name.h"
#include "tidegate/core/error.h"

namespace tidegate::electric::detail {
namespace {

bool readFlag(const std::string& name, const std::string& value) {
  if (value == "true" || value == "1") return true;
  if (value == "false" || value == "0") return false;
  throw BadParameter{name, "is invalid"};
}

/// `params[3]`: 3.
std::uint32_t parameterNumber(const std::string& name) {
  std::uint32_t number = 0;
  const char* const end = name.data() + name.size() - 1;
  const auto r = std::from_chars(name.data() + 7, end, number);
  if (!name.ends_with(']') || r.ec != std::errc{} || r.ptr != end || number == 0) {
    throw BadParameter{"params", "keys are numbers from 1: params[1]"};
  }
  return number;
}

void readParameter(const std::string& name, std::string& value, ShapeRequest& out, std::string& offset) {
  if (name == "table") {
    out.query.table = std::move(value);
  } else if (name == "offset") {
    offset = std::move(value);
  } else if (name == "handle") {
    out.query.handle = std::move(value);
  } else if (name == "live") {
    out.query.live = readFlag(name, value);
  } else if (name == "live_sse" || name == "experimental_live_sse") {
    out.events = readFlag(name, value) || out.events;
  } else if (name == "where") {
    out.query.where = std::move(value);
  } else if (name.starts_with("params[")) {
    out.query.params[parameterNumber(name)] = std::move(value);
  } else if (name == "columns") {
    out.query.columns = std::move(value);
    if (out.query.columns.empty()) throw BadParameter{name, "Invalid zero-length delimited identifier"};
  } else if (name == "replica") {
    if (value != "default" && value != "full") throw BadParameter{name, "is neither default nor full"};
    out.full = value == "full";
  } else if (name == "log") {
    if (value != "full" && value != "changes_only") throw BadParameter{name, "is neither full nor changes_only"};
    out.changesOnly = value == "changes_only";
  } else if (name == "cursor") {
    out.cursor = std::move(value);
  } else if (name == "expired_handle") {
    out.expiredHandle = std::move(value);
  } else if (name.starts_with("subset__")) {
    throw BadParameter{name, "subsets are not served; ask for a shape with this condition"};
  }
}

void readPlace(const std::string& text, ShapeRequest& out) {
  if (text.empty()) throw BadParameter{"offset", "can't be blank"};
  out.offsetText = text;
  if (text == "-1" || text == "now") {
    out.from = text == "now" ? ShapeRequest::From::now : ShapeRequest::From::beginning;
    out.query.handle.clear();
    if (out.query.live) throw BadParameter{"live", fmt::format("can't be true when offset is {}", text)};
  } else {
    const auto offset = parseOffset(text);
    if (!offset) throw BadParameter{"offset", "has invalid format"};
    out.from = ShapeRequest::From::offset;
    out.offset = *offset;
    if (out.query.handle.empty()) throw BadParameter{"handle", "can't be blank when offset != -1"};
  }
  if (out.events && !out.query.live) throw BadParameter{"live_sse", "can't be true unless live is also true"};
}

std::uint32_t columnNamed(const TableSchema& schema, const std::string& name) {
  for (std::uint32_t i = 0; i < schema.columns.size(); ++i) {
    if (schema.columns[i].name == name) return i;
  }
  throw BadParameter{"columns", fmt::format("The following columns could not be found: {}", name)};
}

std::vector<std::uint32_t> readColumns(const TableShape& table, const std::string& list) {
  std::vector<std::uint32_t> columns;
  for (const std::string_view item : splitList(list)) {
    const auto name = readName(item, 1);
    if (!name) throw BadParameter{"columns", fmt::format("Invalid identifier: {}", item.substr(0, 80))};
    columns.push_back(columnNamed(table.schema, name->front()));
  }
  std::sort(columns.begin(), columns.end());
  columns.erase(std::unique(columns.begin(), columns.end()), columns.end());
  for (const std::uint32_t key : table.key) {
    if (std::binary_search(columns.begin(), columns.end(), key)) continue;
    throw BadParameter{"columns", fmt::format("The list of columns must include all primary key columns, missing: {}",
                                              (*table.columns)[key])};
  }
  return columns;
}

std::vector<std::uint32_t> allColumns(const TableShape& table) {
  std::vector<std::uint32_t> columns(table.columns->size());
  for (std::uint32_t i = 0; i < columns.size(); ++i) columns[i] = i;
  return columns;
}

Where readWhere(const std::string& text, const WhereParams& params, const TableSchema& schema,
                const WhereLimits& limits) {
  if (text.empty()) {
    if (!params.empty()) throw BadParameter{"params", "are given without a where clause"};
    return {};
  }
  try {
    return Where::parse(text, schema, params, limits);
  } catch (const Error& e) {
    throw BadParameter{"where", e.message()};
  }
}

void requireGranted(const TableShape& table, const std::vector<std::uint32_t>& columns,
                    const std::vector<std::string>& granted, std::string_view what) {
  for (const std::uint32_t column : columns) {
    const std::string& name = (*table.columns)[column];
    if (std::find(granted.begin(), granted.end(), name) != granted.end()) continue;
    throw Error(ErrorCode::permissionDenied, Retry::never, fmt::format("column \"{}\" may not be {}", name, what));
  }
}

}  // namespace

ShapeRequest readShapeRequest(const http::Request& request) {
  ShapeRequest out;
  std::string offset;
  for (auto& [name, value] : http::queryParameters(request.query)) readParameter(name, value, out, offset);
  out.ifNoneMatch = request.headers.get("if-none-match");
  out.query.deletion = request.method == "DELETE";
  if (out.query.deletion) {
    if (out.query.table.empty() && out.query.handle.empty()) {
      throw BadParameter{"handle", "can't be blank when shape definition is missing"};
    }
    return out;
  }
  readPlace(offset, out);
  if (out.query.table.empty()) throw BadParameter{"table", "can't be blank"};
  return out;
}

Shape findShapeTable(const ShapeHub& hub, const std::string& name) {
  // A table of a gateway may have any name: as it is, first.
  if (const Shape exact = hub.shapeOf(name)) return exact;
  auto parts = readName(name, 2);
  if (!parts) throw BadParameter{"table", "is no table name; names with other characters need double quotes"};
  if (parts->size() == 1) parts->insert(parts->begin(), "public");
  for (const TableSchema& schema : hub.tables()) {
    if (namesTable(schema.table, *parts)) return hub.shapeOf(schema.table);
  }
  return nullptr;
}

ShapeDefinition defineShape(const Shape& table, const ShapeRequest& request, const ShapeGrant& grant,
                            const WhereLimits& limits) {
  ShapeDefinition out{.table = table, .full = request.full};
  out.where = readWhere(request.query.where, request.query.params, table->schema, limits);
  if (!request.query.columns.empty()) {
    out.columns = readColumns(*table, request.query.columns);
  } else {
    out.columns = allColumns(*table);
    if (!grant.columns.empty()) {
      std::erase_if(out.columns, [&](std::uint32_t column) {
        return std::find(grant.columns.begin(), grant.columns.end(), (*table->columns)[column]) == grant.columns.end();
      });
    }
  }
  if (!grant.columns.empty()) {
    requireGranted(*table, out.columns, grant.columns, "read");
    requireGranted(*table, table->key, grant.columns, "read");
    requireGranted(*table, out.where.columns(), grant.columns, "named in a condition");
  }
  if (!grant.where.empty()) {
    try {
      out.where = Where::both(Where::parse(grant.where, table->schema, grant.params, limits), out.where);
    } catch (const Error& e) {
      // The host's own text: what is wrong with it is no client's business.
      throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                  fmt::format("the condition granted on table \"{}\": {}", table->schema.table, e.message()));
    }
  }
  return out;
}

}  // namespace tidegate::electric::detail
