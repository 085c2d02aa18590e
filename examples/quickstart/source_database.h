// Which database the shop lives in: the only place that tells SQLite, PostgreSQL and MySQL apart.
#pragma once

#include <string>

#include "options.h"
#include "tidegate/core/query.h"

namespace quickstart {

struct SourceDatabase {
  std::string description;
  std::string tablePrefix;
  tidegate::QueryFn reader;  ///< the poller's connection
  tidegate::QueryFn writer;  ///< the workload's
};

/// Opens what the options name. SQLite's shop.db is made anew.
SourceDatabase openSource(const Options& options);

/// The client's replica.db: made anew, to write to.
tidegate::QueryFn makeReplica(const Options& options);
/// The same file, to read from.
tidegate::QueryFn openReplica(const Options& options);

}  // namespace quickstart
