/// One range of keys of a table, read at one snapshot and held until the stream has come past it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mysql/detail/table_catalogue.h"
#include "source/detail/held_rows.h"

namespace tidegate::mysql::detail {

/// The place behind a transaction in the server's binlog: `high` the file's number, `low` the offset.
using tidegate::detail::TransactionName;

struct Chunk : tidegate::detail::HeldRows {
  enum class Stage { wanted, reading, read };

  TableName name{};
  std::vector<std::string> after{};  ///< keys beyond this; empty: from the beginning
  std::vector<std::string> upTo{};   ///< and up to this one; empty with `bounded`: to the end
  bool bounded = false;              ///< `upTo` is known
  Stage stage = Stage::wanted;

  // Once read:
  CatalogueTable table{};  ///< as the snapshot has it
  Shape shape{};
  TransactionName seen{};  ///< the snapshot sees all up to here
  TransactionName most{};  ///< and nothing behind this
  Shape toldBefore{};      ///< what readers knew of the table when the reading began

  bool last() const { return bounded && upTo.empty(); }
};

}  // namespace tidegate::mysql::detail
