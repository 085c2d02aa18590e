/// MySqlSink against the contract of all sinks.
#include "contract/sink_contract.h"
#include "mysql/sink_target.h"

namespace tidegate::contract {
namespace {

constexpr std::int64_t kFirstDay = -719'162, kLastDay = 2'932'896;  // of the years 1 to 9999

/// What docs/types.md says that these servers can hold.
bool holds(const Value& v) {
  if (const auto* real = v.getIf<double>()) return std::isfinite(*real) && (*real != 0 || !std::signbit(*real));
  if (const auto* day = v.getIf<Date>()) return day->days >= kFirstDay && day->days <= kLastDay;
  return true;
}

SinkAbilities abilities() {
  SinkAbilities can;
  can.holds = holds;
  can.takesName = [](const std::string& name) {  // identifiers end at U+FFFF
    return std::none_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) >= 0xF0; });
  };
  can.seeds = 15;
  return can;
}

TIDEGATE_SINK_CONTRACT(MySql, (SinkCase{.name = "mysql",
                                        .make = [] { return std::make_unique<servers::MySqlTarget>(); },
                                        .can = abilities()}));

}  // namespace
}  // namespace tidegate::contract
