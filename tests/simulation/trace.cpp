#include "simulation/trace.h"

#include <cstdio>

namespace tidegate::sim {

void Trace::fail(std::string_view check, const std::string& detail) {
  if (!failure_) {
    failure_ = fmt::format("{}: {}", check, detail);
    line("oracle", "FAILED {}", *failure_);
  }
  throw CheckFailed(*failure_);
}

void Trace::add() {
  for (const char c : text_) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * 0x100000001B3u;  // FNV-1a
  ++lines_;
  if (print_) fmt::print("{}\n", text_);
  if (tail_.size() == kTailLines) {
    std::string reused = std::move(tail_.front());
    tail_.pop_front();
    reused = text_;
    tail_.push_back(std::move(reused));
  } else {
    tail_.push_back(text_);
  }
}

}  // namespace tidegate::sim
