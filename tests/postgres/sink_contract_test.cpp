/// PostgresSink against the contract of all sinks.
#include "contract/sink_contract.h"
#include "postgres/sink_target.h"

namespace tidegate::contract {
namespace {

SinkAbilities abilities() {
  SinkAbilities can;
  can.holds = [](const Value& v) {
    const auto* text = v.getIf<std::string>();
    return text == nullptr || text->find('\0') == std::string::npos;
  };
  can.seeds = 25;
  return can;
}

TIDEGATE_SINK_CONTRACT(Postgres, (SinkCase{.name = "postgres",
                                           .make = [] { return std::make_unique<servers::PostgresTarget>(); },
                                           .can = abilities()}));

}  // namespace
}  // namespace tidegate::contract
