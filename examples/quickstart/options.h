// What the command line can say.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>

namespace quickstart {

struct Options {
  std::string postgresUrl;  ///< empty unless --postgres
  std::string mysqlUrl;     ///< empty unless --mysql
  std::filesystem::path directory = "quickstart-data";
  std::size_t rows = 10'000;
  std::chrono::seconds duration{12};
};

/// @return nullopt where the program is done already (`--help`, or a mistake that was printed): `exitCode` says how.
std::optional<Options> parseOptions(int argc, char** argv, int& exitCode);

}  // namespace quickstart
