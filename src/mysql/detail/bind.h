/// Values on their way into a column, packed so that changes of one row can be merged before they are bound.
#pragma once

#include <string>
#include <string_view>

#include "mysql/detail/target.h"

namespace sql {
class PreparedStatement;
}

namespace tidegate::mysql::detail {

/// Appends the value as a field of PendingRows. @return null, or why it cannot be written.
const char* appendField(const Value& v, const ColumnPlan& plan, std::string& out);
/// Appends the field to a key under which equal values of the column are equal octets.
void appendKeyField(const ColumnPlan& plan, std::string_view field, std::string& key);
/// Binds a field.
void bindField(sql::PreparedStatement& statement, unsigned oneBasedIndex, std::string_view field);

}  // namespace tidegate::mysql::detail
