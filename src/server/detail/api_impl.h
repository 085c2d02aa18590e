/// The state of an `Api`.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/detail/blocking_pool.h"
#include "tidegate/server/api.h"

namespace tidegate::server {

struct Api::Impl {
  explicit Impl(ApiOptions given) : options(std::move(given)), pool(options.blockingThreads, options.blockingQueue) {}

  ApiOptions options;
  std::vector<Operation> operations{};
  std::vector<std::pair<std::string, std::string>> schemas{};
  std::vector<std::pair<std::string, http::Handler>> mounts{};
  detail::BlockingPool pool;
};

}  // namespace tidegate::server
