/// Where the gateways of the suite keep their state.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "tidegate/gateway/gateway.h"

namespace tidegate::contract {

struct GatewayHomeCase {
  using Opener = std::function<void(GatewayOptions& options)>;
  std::string name;
  std::uint64_t seeds = 100;  ///< of each law: few where a home is slow to make
  bool keeps = true;          ///< whether a gateway that opens it again finds what was there
  bool several = false;       ///< whether several gateways may use it at once
  std::function<Opener()> make = [] { return [](GatewayOptions&) {}; };
};

inline void PrintTo(const GatewayHomeCase& home, std::ostream* out) { *out << home.name; }

inline std::string gatewayHomeCaseName(const ::testing::TestParamInfo<GatewayHomeCase>& info) {
  return info.param.name;
}

}  // namespace tidegate::contract
