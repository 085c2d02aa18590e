#include "workload.h"

#include "tidegate/core/clock.h"

namespace quickstart {

void Workload::run(Shop& shop, const std::stop_token& stop) {
  try {
    do changes_ += shop.change();
    while (tidegate::systemScheduler().waitFor(std::chrono::milliseconds(20), stop));
  } catch (...) {
    failure_ = std::current_exception();
  }
}

void Workload::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

}  // namespace quickstart
