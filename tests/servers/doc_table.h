/// A table of the documentation, cell by cell.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace tidegate::servers {

/// Rows of the first table under "## heading" whose header line begins with `header`; cells without spaces and ticks.
inline std::vector<std::vector<std::string>> docTable(const std::string& page, const std::string& heading,
                                                      const std::string& header) {
  std::ifstream in(std::string(TIDEGATE_DOCS) + "/" + page);
  std::vector<std::vector<std::string>> rows;
  bool inSection = false, inTable = false;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("## ")) inSection = line == "## " + heading, inTable = false;
    if (!inSection) continue;
    if (line.starts_with(header)) {
      inTable = true;
    } else if (!line.starts_with("|")) {
      inTable = false;
    } else if (inTable && !line.starts_with("| ---")) {
      rows.emplace_back();
      std::size_t from = 1;
      for (std::size_t at = line.find('|', from); at != std::string::npos; at = line.find('|', from)) {
        std::string cell = line.substr(from, at - from);
        cell.erase(0, cell.find_first_not_of(" `"));
        cell.erase(cell.find_last_not_of(" `") + 1);
        rows.back().push_back(cell);
        from = at + 1;
      }
    }
  }
  if (rows.empty()) throw std::runtime_error(page + " has no such table under \"" + heading + "\"");
  return rows;
}

}  // namespace tidegate::servers
