#include "postgres/detail/table_copy.h"

#include <fmt/format.h>

#include "tidegate/core/query.h"

namespace tidegate::postgres::detail {
namespace {

bool readsBinary(const ColumnFacts& column) { return mappingOf(column.type.baseOid, true).binary != nullptr; }

}  // namespace

std::string selectList(const TableFacts& facts) {
  std::string list;
  for (const ColumnFacts* column : facts.sentColumns()) {
    const std::string name = quoteIdentifier(Dialect::postgres, column->name);
    if (!list.empty()) list += ", ";
    list += readsBinary(*column) ? name : fmt::format("pg_catalog.textin({}({}))", column->type.outputFunction, name);
  }
  return list;
}

CopyDecoder copyDecoderOf(const TableFacts& facts, bool trustedEncoding) {
  std::vector<CopyColumn> columns;
  for (const ColumnFacts* column : facts.sentColumns()) {
    const TypeMapping mapping = mappingOf(column->type.baseOid, trustedEncoding);
    columns.push_back({column->name, mapping.binary != nullptr ? mapping.binary : mapping.text});
  }
  return CopyDecoder(facts.fullName(), std::move(columns));
}

std::string fromClause(const TableFacts& facts) { return (facts.kind == 'p' ? "" : "ONLY ") + facts.quoted(); }

std::string whereClause(const TableFacts& facts, const std::string& condition) {
  const std::string& filter = facts.publication.rowFilter;
  if (condition.empty() && filter.empty()) return {};
  if (condition.empty()) return " WHERE " + filter;
  return filter.empty() ? " WHERE " + condition : fmt::format(" WHERE ({}) AND ({})", condition, filter);
}

std::string copySql(const TableFacts& facts, const CopyRange& range) {
  return fmt::format("COPY (SELECT {} FROM {}{}{}) TO STDOUT (FORMAT binary)", selectList(facts), fromClause(facts),
                     whereClause(facts, range.where), range.orderBy.empty() ? "" : " ORDER BY " + range.orderBy);
}

}  // namespace tidegate::postgres::detail
