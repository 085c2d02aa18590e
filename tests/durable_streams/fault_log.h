/// A StreamLog that fails, or lets another writer in, at chosen operations.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "durable_streams/detail/stream_log.h"

namespace tidegate::test {

/// What happens at an operation.
enum class Fault {
  none,
  before,  ///< nothing reaches the server
  after    ///< the server does it, and the answer is lost
};

/// Asked at each operation that changes something; may itself do things first.
using FaultPlan = std::function<Fault()>;

class FaultLog final : public durable_streams::detail::StreamLog {
 private:
  template <class Work>
  auto at(Work&& work) {
    const Fault fault = *plan_ ? (*plan_)() : Fault::none;
    if (fault == Fault::before) throw Error(ErrorCode::connectionFailed, Retry::later, "the server is away");
    auto result = work();
    if (fault == Fault::after) throw Error(ErrorCode::connectionFailed, Retry::outcomeUnknown, "the answer was lost");
    return result;
  }

 public:
  FaultLog(std::unique_ptr<durable_streams::detail::StreamLog> inner, std::shared_ptr<FaultPlan> plan)
      : inner_(std::move(inner)), plan_(std::move(plan)) {}

  bool create(const std::string& path, std::stop_token stop) override {
    return at([&] { return inner_->create(path, stop); });
  }
  durable_streams::detail::LogAppended append(const std::string& path, const std::vector<std::string>& messages,
                                              const durable_streams::WriteStamp& stamp, std::stop_token stop) override {
    return at([&] { return inner_->append(path, messages, stamp, stop); });
  }
  std::string read(const std::string& path, const std::string& from,
                   const std::function<void(std::string_view)>& onMessage, std::stop_token stop) override {
    return inner_->read(path, from, onMessage, stop);
  }
  void remove(const std::string& path, std::stop_token stop) override {
    at([&] {
      inner_->remove(path, stop);
      return 0;
    });
  }

 private:
  std::unique_ptr<durable_streams::detail::StreamLog> inner_;
  std::shared_ptr<FaultPlan> plan_;
};

}  // namespace tidegate::test
