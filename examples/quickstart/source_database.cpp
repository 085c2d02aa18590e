#include "source_database.h"

#include "tidegate/mysql/query_fn.h"
#include "tidegate/postgres/query_fn.h"
#include "tidegate/sqlite/query_fn.h"

namespace quickstart {

namespace {

constexpr const char* kServerPrefix = "quickstart_";

/// The name of a file that is not there yet; what an earlier run left is removed.
std::string freshFile(const std::filesystem::path& directory, const char* name) {
  std::filesystem::create_directories(directory);
  const std::string path = (directory / name).string();
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(path + suffix);
  return path;
}

}  // namespace

SourceDatabase openSource(const Options& options) {
  using namespace tidegate;
  if (!options.postgresUrl.empty()) {
    return {"PostgreSQL", kServerPrefix, postgres::queryFn({.url = options.postgresUrl}),
            postgres::queryFn({.url = options.postgresUrl, .readOnly = false})};
  }
  if (!options.mysqlUrl.empty()) {
    return {"MySQL", kServerPrefix, mysql::queryFn({.url = options.mysqlUrl}),
            mysql::queryFn({.url = options.mysqlUrl, .readOnly = false})};
  }
  const std::string path = freshFile(options.directory, "shop.db");
  return {path, "", sqlite::queryFn({.path = path}),
          sqlite::queryFn({.path = path, .readOnly = false, .create = true})};
}

tidegate::QueryFn makeReplica(const Options& options) {
  return tidegate::sqlite::queryFn(
      {.path = freshFile(options.directory, "replica.db"), .readOnly = false, .create = true});
}

tidegate::QueryFn openReplica(const Options& options) {
  return tidegate::sqlite::queryFn({.path = (options.directory / "replica.db").string()});
}

}  // namespace quickstart
