/// The tables of docs/types.md, read by the tests that check them row by row.
#pragma once

#include <string>
#include <vector>

namespace tidegate::servers {

/// One line "| `declared` | `sql` | kind | `reads as` |".
struct TypeRow {
  std::string declared, sql, kind, readsAs;
};

/// The table under "## <heading>". @throws std::runtime_error if there is none.
std::vector<TypeRow> typeTable(const std::string& heading);

/// Of the server called "mysql": the table that MariaDB and MySQL share, and what only one of them has.
std::vector<TypeRow> mysqlTypeTable();

}  // namespace tidegate::servers
