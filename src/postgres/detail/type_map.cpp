#include "postgres/detail/type_map.h"

#include <fmt/format.h>

#include "postgres/detail/decode_binary.h"
#include "postgres/detail/oids.h"
#include "postgres/detail/sql.h"

namespace tidegate::postgres::detail {
namespace {

ValueKind kindOf(unsigned baseOid) {
  switch (baseOid) {
    case kBool:
      return ValueKind::boolean;
    case kInt2:
    case kInt4:
    case kInt8:
    case kOid:
      return ValueKind::int64;
    case kFloat4:
    case kFloat8:
      return ValueKind::real;
    case kNumeric:
      return ValueKind::decimal;
    case kBytea:
      return ValueKind::bytes;
    case kDate:
      return ValueKind::date;
    case kTime:
      return ValueKind::time;
    case kTimestamp:
    case kTimestamptz:
      return ValueKind::timestamp;
    case kUuid:
      return ValueKind::uuid;
    case kJson:
    case kJsonb:
      return ValueKind::json;
    default:
      return ValueKind::text;
  }
}

/// The types asked for, each with its base: a domain may stand on a domain.
constexpr const char* kDescribe = R"(
WITH RECURSIVE asked AS (
  SELECT oid, modifier, place FROM unnest($1::oid[], $2::int4[]) WITH ORDINALITY AS a(oid, modifier, place)),
chain AS (
  SELECT a.place, t.oid, t.typtype, t.typbasetype, t.typoutput FROM asked a JOIN pg_catalog.pg_type t ON t.oid = a.oid
  UNION ALL
  SELECT c.place, t.oid, t.typtype, t.typbasetype, t.typoutput
  FROM chain c JOIN pg_catalog.pg_type t ON c.typtype = 'd' AND t.oid = c.typbasetype)
SELECT a.place, c.oid, pg_catalog.format_type(a.oid, a.modifier), n.nspname, p.proname
FROM asked a
JOIN chain c ON c.place = a.place AND c.typtype <> 'd'
JOIN pg_catalog.pg_proc p ON p.oid = c.typoutput
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace)";

}  // namespace

TypeMapping mappingOf(unsigned baseOid, bool trustedEncoding) {
  return {kindOf(baseOid), decoderFor(baseOid, trustedEncoding), binaryDecoderFor(baseOid, trustedEncoding)};
}

std::vector<TypeFacts> describeTypes(PGconn* connection, const std::vector<TypeAsked>& asked) {
  std::vector<TypeFacts> facts;
  std::string oids, modifiers;
  for (const TypeAsked& type : asked) {
    facts.push_back(
        {type.oid, type.modifier, kText, fmt::format("type {}", type.oid), quotedName("pg_catalog", "textout")});
    oids += fmt::format("{}{}", oids.empty() ? "" : ",", type.oid);
    modifiers += fmt::format("{}{}", modifiers.empty() ? "" : ",", type.modifier);
  }
  if (asked.empty()) return facts;
  const OwnedResult rows = runSql(connection, kDescribe, {"{" + oids + "}", "{" + modifiers + "}"});
  for (int i = 0; i < PQntuples(rows.get()); ++i) {
    TypeFacts& type = facts.at(static_cast<std::size_t>(integerCell(rows.get(), i, 0)) - 1);
    type.baseOid = static_cast<unsigned>(integerCell(rows.get(), i, 1));
    type.name = cell(rows.get(), i, 2);
    type.outputFunction = quotedName(cell(rows.get(), i, 3), cell(rows.get(), i, 4));
  }
  return facts;
}

}  // namespace tidegate::postgres::detail
