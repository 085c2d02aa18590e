#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "electric/detail/shape_message.h"
#include "electric/detail/where_node.h"
#include "tidegate/core/json.h"

namespace tidegate::electric::detail {
namespace {

struct PgName {
  std::string_view declared;  ///< as format_type writes it, and other spellings
  std::string_view internal;  ///< as Electric names it
  ValueKind kind;             ///< of values of that type
};

/// Types that Electric's clients know by name. Others are named after what their values are.
constexpr std::array<PgName, 45> kPgNames{{
    {"smallint", "int2", ValueKind::int64},
    {"int2", "int2", ValueKind::int64},
    {"integer", "int4", ValueKind::int64},
    {"int", "int4", ValueKind::int64},
    {"int4", "int4", ValueKind::int64},
    {"bigint", "int8", ValueKind::int64},
    {"int8", "int8", ValueKind::int64},
    {"real", "float4", ValueKind::real},
    {"float4", "float4", ValueKind::real},
    {"double precision", "float8", ValueKind::real},
    {"float8", "float8", ValueKind::real},
    {"numeric", "numeric", ValueKind::decimal},
    {"decimal", "numeric", ValueKind::decimal},
    {"boolean", "bool", ValueKind::boolean},
    {"bool", "bool", ValueKind::boolean},
    {"text", "text", ValueKind::text},
    {"character varying", "varchar", ValueKind::text},
    {"varchar", "varchar", ValueKind::text},
    {"character", "bpchar", ValueKind::text},
    {"bpchar", "bpchar", ValueKind::text},
    {"citext", "citext", ValueKind::text},
    {"name", "name", ValueKind::text},
    {"interval", "interval", ValueKind::text},
    {"inet", "inet", ValueKind::text},
    {"cidr", "cidr", ValueKind::text},
    {"macaddr", "macaddr", ValueKind::text},
    {"money", "money", ValueKind::text},
    {"xml", "xml", ValueKind::text},
    {"tsvector", "tsvector", ValueKind::text},
    {"bit", "bit", ValueKind::text},
    {"bit varying", "varbit", ValueKind::text},
    {"time with time zone", "timetz", ValueKind::text},
    {"timetz", "timetz", ValueKind::text},
    {"bytea", "bytea", ValueKind::bytes},
    {"date", "date", ValueKind::date},
    {"time without time zone", "time", ValueKind::time},
    {"time", "time", ValueKind::time},
    {"timestamp without time zone", "timestamp", ValueKind::timestamp},
    {"timestamp with time zone", "timestamptz", ValueKind::timestamp},
    {"timestamptz", "timestamptz", ValueKind::timestamp},
    {"uuid", "uuid", ValueKind::uuid},
    {"json", "json", ValueKind::json},
    {"jsonb", "jsonb", ValueKind::json},
    {"oid", "oid", ValueKind::int64},
    {"pg_lsn", "pg_lsn", ValueKind::text},
}};

/// A source's name for a type, taken apart: "numeric(10,2)[]".
struct DeclaredType {
  std::string base{};
  std::vector<std::int64_t> arguments{};
  std::size_t dimensions = 0;
};

DeclaredType takeApart(std::string_view text) {
  DeclaredType type;
  while (text.ends_with("[]")) {
    text.remove_suffix(2);
    ++type.dimensions;
  }
  const std::size_t open = text.find('(');
  const std::size_t close = text.find(')', open == text.npos ? 0 : open);
  if (open == text.npos || close == text.npos) {
    type.base = text;
    return type;
  }
  type.base = std::string(text.substr(0, open)) + std::string(text.substr(close + 1));
  const char* at = text.data() + open + 1;
  const char* const end = text.data() + close;
  while (at < end) {
    std::int64_t number = 0;
    const auto r = std::from_chars(at, end, number);
    if (r.ec != std::errc{}) break;
    type.arguments.push_back(number);
    at = r.ptr + (r.ptr < end ? 1 : 0);
  }
  return type;
}

std::string_view nameByKind(const ColumnSchema& column) {
  switch (column.kind) {
    case ValueKind::boolean:
      return "bool";
    case ValueKind::int64:
      return "int8";
    case ValueKind::uint64:
    case ValueKind::decimal:
      return "numeric";
    case ValueKind::real:
      return "float8";
    case ValueKind::bytes:
      return "bytea";
    case ValueKind::date:
      return "date";
    case ValueKind::time:
      return "time";
    case ValueKind::timestamp:
      return sqlName(sqlTypeOf(column));
    case ValueKind::uuid:
      return "uuid";
    case ValueKind::json:
      return "jsonb";
    default:
      return "text";
  }
}

std::string_view pgNameOf(const ColumnSchema& column, const DeclaredType& type) {
  for (const PgName& known : kPgNames) {
    if (known.declared != type.base) continue;
    // Arrays come as text, in PostgreSQL's notation, whatever they hold.
    if (type.dimensions > 0 ? column.kind == ValueKind::text : column.kind == known.kind) return known.internal;
  }
  return type.dimensions > 0 ? "text" : nameByKind(column);
}

void writeMember(std::string_view name, std::int64_t value, std::string& out) {
  out.append(",\"").append(name).append("\":").append(std::to_string(value));
}

void writeArguments(std::string_view name, const std::vector<std::int64_t>& arguments, std::string& out) {
  if (arguments.empty()) return;
  if (name == "varchar") {
    writeMember("max_length", arguments[0], out);
  } else if (name == "bpchar" || name == "bit" || name == "varbit") {
    writeMember("length", arguments[0], out);
  } else if (name == "numeric" && arguments.size() == 2) {
    writeMember("precision", arguments[0], out);
    writeMember("scale", arguments[1], out);
  } else if (name.starts_with("time") || name == "numeric" || name == "interval") {
    writeMember("precision", arguments[0], out);
  }
}

}  // namespace

std::string schemaJson(const ShapeDefinition& shape) {
  std::string out = "{";
  for (const std::uint32_t index : shape.columns) {
    const ColumnSchema& column = shape.table->schema.columns[index];
    const DeclaredType type = takeApart(column.sourceType);
    const std::string_view name = pgNameOf(column, type);
    if (out.size() > 1) out += ',';
    appendJsonString(column.name, out);
    out.append(":{\"type\":\"").append(name).append("\"");
    if (type.dimensions > 0) writeMember("dims", static_cast<std::int64_t>(type.dimensions), out);
    const auto& key = shape.table->key;
    const auto at = std::find(key.begin(), key.end(), index);
    if (at != key.end()) writeMember("pk_index", at - key.begin(), out);
    if (!column.nullable || at != key.end()) out += ",\"not_null\":true";
    writeArguments(name, type.arguments, out);
    out += '}';
  }
  return out + '}';
}

}  // namespace tidegate::electric::detail
