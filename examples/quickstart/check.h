// The proof: the replica against the source, both read with SQL, after everything has come to rest.
#pragma once

#include <cstddef>
#include <string>

#include "tidegate/core/query.h"

namespace quickstart {

struct Comparison {
  std::size_t rows = 0;         ///< rows that both sides have
  std::size_t differences = 0;  ///< rows that only one side has, or that differ in a cell
};

/// One table: two queries that must return the same rows. The first column is the key.
struct TableCheck {
  std::string name;
  std::string sourceSql;  ///< the client's view, written as plain SQL by hand: it owes nothing to the sync rules' code
  std::string replicaSql;
};

/// Prints the first few differences.
Comparison compare(const tidegate::QueryFn& source, const tidegate::QueryFn& replica, const TableCheck& check);

}  // namespace quickstart
