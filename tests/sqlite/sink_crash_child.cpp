/// Applies units of work to a SQLite sink until it is killed, from the file's checkpoint on; prints each unit's number
/// once it is committed.
///
///     sink_crash_child <database>
#include <unistd.h>

#include <iostream>
#include <string>

#include "sqlite/sink_crash_units.h"
#include "tidegate/core/error.h"
#include "tidegate/sqlite/sink.h"

int main(int argc, char** argv) {
  using namespace tidegate;
  if (argc != 2) {
    std::cerr << "usage: sink_crash_child <database>\n";
    return 2;
  }
  try {
    const auto sink = sqlite::sink({.path = argv[1], .cacheBytes = 1 << 16, .walBytes = 1 << 18});
    const auto checkpoint = sink->open({.pipeline = "crash"});
    const Shape a = testing::crashShape("a"), b = testing::crashShape("b");
    sink->prepareTable(a);
    sink->prepareTable(b);
    testing::CrashRows unused;
    ChangeBatch batch;
    for (std::int64_t n = checkpoint ? std::stoll(*checkpoint) + 1 : 1;; ++n) {
      batch.clear();
      testing::crashUnit(n, a, b, batch, unused);
      sink->apply(batch);
      const std::string number = std::to_string(n);
      sink->commit(number);
      const std::string line = number + "\n";
      if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(3);
    }
  } catch (const std::exception& e) {
    std::cerr << e.what() << std::endl;
    ::_exit(5);
  }
}
