#include "servers/type_table.h"

#include <fstream>
#include <stdexcept>

#include "servers/support.h"

namespace tidegate::servers {
namespace {

/// A cell without its spaces and code ticks.
std::string cellText(std::string cell) {
  const auto trim = [&](const char* what) {
    const auto first = cell.find_first_not_of(what);
    if (first == std::string::npos) return cell.clear();
    cell = cell.substr(first, cell.find_last_not_of(what) - first + 1);
  };
  trim(" ");
  if (cell.size() >= 2 && cell.front() == '`' && cell.back() == '`') cell = cell.substr(1, cell.size() - 2);
  return cell;
}

std::vector<std::string> cellsOf(const std::string& line) {
  std::vector<std::string> cells;
  std::size_t from = 1;
  for (std::size_t at = line.find('|', from); at != std::string::npos; at = line.find('|', from)) {
    cells.push_back(cellText(line.substr(from, at - from)));
    from = at + 1;
  }
  return cells;
}

}  // namespace

std::vector<TypeRow> typeTable(const std::string& heading) {
  std::ifstream in(std::string(TIDEGATE_DOCS) + "/types.md");
  std::vector<TypeRow> rows;
  std::string line;
  bool inSection = false, inTable = false;
  while (std::getline(in, line)) {
    if (line.starts_with("## ")) inSection = line == "## " + heading, inTable = false;
    if (!inSection) continue;
    if (line.starts_with("| Declared | SQL value | Kind | Reads as |"))
      inTable = true;
    else if (!line.starts_with("|"))
      inTable = false;
    else if (inTable && !line.starts_with("| ---")) {
      const auto cells = cellsOf(line);
      if (cells.size() != 4) throw std::runtime_error("docs/types.md: not four cells in: " + line);
      rows.push_back({cells[0], cells[1], cells[2], cells[3]});
    }
  }
  if (rows.empty()) throw std::runtime_error("docs/types.md has no table of types under \"" + heading + "\"");
  return rows;
}

std::vector<TypeRow> mysqlTypeTable() {
  std::vector<TypeRow> rows = typeTable("MariaDB and MySQL");
  for (const TypeRow& own : typeTable(isMariaDb() ? "Only MariaDB" : "Only MySQL")) rows.push_back(own);
  return rows;
}

}  // namespace tidegate::servers
