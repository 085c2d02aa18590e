#include "options.h"

#include <CLI/CLI.hpp>

namespace quickstart {

std::optional<Options> parseOptions(int argc, char** argv, int& exitCode) {
  Options options;
  long long seconds = options.duration.count();
  CLI::App app{
      "A changing database, polled into a gateway, followed by a client that keeps a SQLite replica of what its sync\n"
      "rules let it see. Ends by itself, with a check of the replica against the source.\n"
      "Exit code: 0 no difference, 1 a difference or a failure, 2 a mistake in the\ncommand, 130 stopped by Ctrl-C.",
      "quickstart"};
  auto* postgres = app.add_option("--postgres", options.postgresUrl,
                                  "Poll PostgreSQL instead of SQLite: postgresql://user:password@host:port/database. "
                                  "Makes the tables quickstart_users and quickstart_audit_log anew.");
  app.add_option("--mysql", options.mysqlUrl, "The same on MySQL or MariaDB: mysql://user:password@host:port/database.")
      ->excludes(postgres);
  app.add_option("--dir", options.directory, "Where shop.db and replica.db are made anew")
      ->capture_default_str()
      ->take_last();
  app.add_option("--rows", options.rows, "Rows in each table at the start")
      ->capture_default_str()
      ->check(CLI::Range(10, 10'000'000));
  app.add_option("--seconds", seconds, "How long the shop keeps changing")
      ->capture_default_str()
      ->check(CLI::Range(1, 3'600));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    exitCode = app.exit(e) == 0 ? 0 : 2;
    return std::nullopt;
  }
  options.duration = std::chrono::seconds(seconds);
  return options;
}

}  // namespace quickstart
