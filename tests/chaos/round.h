/// One round: writers and faults for a while, then everything is mended, and every sink must equal the source.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "chaos/child.h"
#include "chaos/disk.h"
#include "chaos/faults.h"
#include "support/tcp_proxy.h"
#include "tidegate/core/query.h"

namespace tidegate::chaos {

/// What all rounds share.
struct Arena {
  std::string program;  ///< this program's own path
  std::string folder;   ///< for the SQLite sink and the log
  Disk disk;
  test::TcpProxy proxy;
  std::string engineLog;
};

class Round {
 public:
  Round(Arena& arena, RoundPlan plan) : arena_(arena), plan_(std::move(plan)) {}
  /// @return an empty text, or what is wrong.
  std::string run();

 private:
  void startEngine();
  void inflict(Fault fault);
  void dropSlot();
  std::string settle();
  std::string ask(const std::string& command);
  /// Compares source and sinks without any code of the engine's.
  std::string compare() const;

  Arena& arena_;
  const RoundPlan plan_;
  std::unique_ptr<Child> engine_;
};

}  // namespace tidegate::chaos
