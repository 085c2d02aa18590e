/// What must be true once things are quiet. What must be true at every moment is checked where it happens: in
/// SimGateway (each push) and SimClient (each page).
#include "simulation/simulation.h"

namespace tidegate::sim {

namespace {

const TablePlan& planOf(const Plan& plan, const std::string& table) {
  for (const TablePlan& candidate : plan.tables) {
    if (candidate.name == table) return candidate;
  }
  throw std::logic_error("no such table: " + table);
}

std::string firstDifference(const ModelState& held, const ModelState& source) {
  for (const auto& [key, row] : source) {
    const auto at = held.find(key);
    if (at == held.end()) return fmt::format("not held: {} {}", show(key), show(&row));
    if (at->second != row) return fmt::format("{}: source {}, held {}", show(key), show(&row), show(&at->second));
  }
  for (const auto& [key, row] : held) {
    if (!source.contains(key)) return fmt::format("held, and not in the source: {} {}", show(key), show(&row));
  }
  return "none";
}

}  // namespace

/// Whatever clients wrote meanwhile: what the gateway was last brought for each row is what the source holds.
void Simulation::checkSource(const SimPoller& poller) {
  std::set<std::string> names;
  for (const std::size_t index : poller.tables()) {
    if (!gateway_.purgedTables().contains(plan_.tables[index].name)) names.insert(plan_.tables[index].name);
  }
  for (const auto& [key, row] : database_.committed()) {
    if (!names.contains(key.table)) continue;
    const ModelRow brought = gateway_.model().brought(key, poller.sender());
    if (brought == row) continue;
    trace_.fail("what the source holds was brought to the gateway",
                fmt::format("{} ({}): source {}, brought {}", show(key),
                            planOf(plan_, key.table).cursor == CursorForm::none ? "diff" : "cursor", show(&row),
                            show(&brought)));
  }
  for (const Key& key : gateway_.model().broughtKeys(poller.sender())) {
    if (!names.contains(key.table) || database_.committed().contains(key)) continue;
    trace_.fail("what the source erased is erased", show(key));
  }
}

void Simulation::check() {
  gateway_.checkWhole("when quiet");
  for (const SimPoller& poller : pollers_) checkSource(poller);
  if (!plan_.clientEdits && gateway_.purgedTables().empty()) {
    const ModelState held = gateway_.history().now();
    if (held != database_.committed()) {
      trace_.fail("without client edits the gateway equals the source",
                  fmt::format("{} rows held, {} in the source; {}", held.size(), database_.committed().size(),
                              firstDifference(held, database_.committed())));
    }
  }
  for (SimClient& client : clients_) client.checkSettled();
  trace_.line("oracle", "{} rows in the source, {} in the gateway: all agree", database_.committed().size(),
              gateway_.gateway().stats().rows);
}

}  // namespace tidegate::sim
