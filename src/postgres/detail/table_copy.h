/// How a table is read by COPY: the SQL, and what decodes its columns.
#pragma once

#include <string>
#include <vector>

#include "postgres/detail/catalogue.h"
#include "postgres/detail/copy_decoder.h"

namespace tidegate::postgres::detail {

/// The columns that events have. Types without a binary decoder are sent as the text of their output function, called
/// by name: a cast to text differs from it for some (char(n), boolean, inet).
std::string selectList(const TableFacts& facts);
CopyDecoder copyDecoderOf(const TableFacts& facts, bool trustedEncoding);

/// What a COPY leaves out and how it is ordered.
struct CopyRange {
  std::string where{};    ///< a condition in SQL; empty: all. The publication's row filter is added to it
  std::string orderBy{};  ///< empty: any order
};
/// "COPY (SELECT …) TO STDOUT (FORMAT binary)". A plain table is read without those that inherit from it, whose changes
/// come under their own names.
std::string copySql(const TableFacts& facts, const CopyRange& range = {});
/// The table as it stands after FROM.
std::string fromClause(const TableFacts& facts);
/// " WHERE …" of the range and the publication's row filter; empty if there is neither.
std::string whereClause(const TableFacts& facts, const std::string& condition);

}  // namespace tidegate::postgres::detail
