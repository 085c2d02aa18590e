#include "simulation/plan.h"

#include <array>
#include <stdexcept>
#include <utility>

namespace tidegate::sim {

namespace {

constexpr std::array<std::pair<Mutation, std::string_view>, 8> kMutations{{{Mutation::none, "none"},
                                                                           {Mutation::dropDelta, "dropDelta"},
                                                                           {Mutation::corruptValue, "corruptValue"},
                                                                           {Mutation::loseCommit, "loseCommit"},
                                                                           {Mutation::hideRow, "hideRow"},
                                                                           {Mutation::forgetDelta, "forgetDelta"},
                                                                           {Mutation::hideEntry, "hideEntry"},
                                                                           {Mutation::otherEntry, "otherEntry"}}};

CursorForm timeForm(SimRandom& random) {
  static const std::vector<CursorForm> forms{CursorForm::isoMillis, CursorForm::isoSeconds, CursorForm::sqliteMillis,
                                             CursorForm::sqliteSeconds};
  return random.pick(forms);
}

std::vector<TablePlan> drawTables(SimRandom& random) {
  std::vector<TablePlan> all{{.name = "orders", .keys = {"id"}, .cursor = timeForm(random)},
                             {.name = "items", .keys = {"order_no", "line"}, .cursor = CursorForm::integer},
                             {.name = "visits", .keys = {"place", "no"}, .cursor = timeForm(random)},
                             {.name = "audit", .keys = {"code"}},
                             {.name = "stock", .keys = {"place", "sku"}}};
  std::vector<TablePlan> tables;
  for (TablePlan& table : all) {
    if (!random.chance(60)) continue;
    table.pageRows = static_cast<std::size_t>(random.between(2, 25));
    table.nullCursors = table.cursor != CursorForm::none && random.chance(40);
    table.hardDeletes = table.cursor == CursorForm::none && random.chance(75);
    tables.push_back(table);
  }
  if (tables.empty()) tables.push_back(all[static_cast<std::size_t>(random.below(all.size()))]);
  return tables;
}

void drawFaults(Plan& plan, SimRandom& random) {
  if (random.chance(10)) return;  // a calm run now and then: the laws without any fault
  plan.clockJumps = random.chance(40);
  plan.queryFaults = random.chance(50);
  plan.emptyResults = random.chance(20);
  plan.pushFaults = random.chance(50);
  plan.storeFaults = plan.durable && random.chance(50);
  plan.gatewayCrashes = plan.durable && random.chance(50);
  plan.pollerCrashes = random.chance(50);
  plan.stateFaults = random.chance(40);
  plan.amnesia = plan.pollerCrashes && random.chance(40);
  plan.packedSnapshots = !plan.emptyResults && !plan.pollerCrashes && !plan.gatewayCrashes && random.chance(70);
}

}  // namespace

std::string_view toString(Mutation mutation) {
  for (const auto& [value, name] : kMutations) {
    if (value == mutation) return name;
  }
  return "?";
}

Mutation parseMutation(std::string_view name) {
  std::string known;
  for (const auto& [value, text] : kMutations) {
    if (text == name) return value;
    known.append(" ").append(text);
  }
  throw std::invalid_argument("unknown mutation \"" + std::string(name) + "\"; known:" + known);
}

bool Plan::resyncAllowed() const {
  const bool forgotten = gateways == 1 && gatewayCrashes && rules;  // a client noted less than a commit before
  return retention || tombstonePurge || purgeTables || ruleChanges || claimChanges || forgotten;
}

std::string Plan::describe() const {
  std::string text = gateways == 1 ? "" : std::to_string(gateways) + " gateways";
  const auto add = [&](bool on, const char* name) {
    if (on) text.append(text.empty() ? "" : " ").append(name);
  };
  for (const TablePlan& table : tables) add(true, table.name.c_str());
  add(clientEdits, "clientEdits"), add(clientErases, "clientErases"), add(badPushes, "badPushes");
  add(clockJumps, "clockJumps"), add(rules, "rules"), add(ruleChanges, "ruleChanges");
  add(claimChanges, "claimChanges"), add(retention, "retention"), add(tombstonePurge, "tombstonePurge");
  add(purgeTables, "purgeTables"), add(subscribers, "subscribers"), add(queryFaults, "queryFaults"),
      add(durable, "durable");
  add(emptyResults, "emptyResults"), add(pushFaults, "pushFaults"), add(storeFaults, "storeFaults");
  add(gatewayCrashes, "gatewayCrashes"), add(pollerCrashes, "pollerCrashes"), add(stateFaults, "stateFaults");
  add(amnesia, "amnesia"), add(packedSnapshots, "packedSnapshots"), add(strict, "strict"), add(streamed, "streamed");
  return text;
}

Plan makePlan(SimRandom& random) {
  Plan plan;
  plan.rounds = static_cast<std::size_t>(random.between(1, 3));
  plan.stepsPerRound = static_cast<std::size_t>(random.between(60, 250));
  plan.tables = drawTables(random);
  plan.clients = static_cast<std::size_t>(random.between(1, 4));
  plan.lookback = std::chrono::milliseconds(random.between(4000, 8000));
  plan.lookbackRows = static_cast<std::size_t>(random.between(40, 80));
  plan.pushDeltas = static_cast<std::size_t>(random.between(2, 40));
  plan.clientEdits = random.chance(60);
  plan.clientErases = plan.clientEdits && random.chance(60);
  plan.badPushes = plan.clientEdits && random.chance(40);
  plan.rules = random.chance(70);
  plan.ruleChanges = plan.rules && random.chance(25);
  plan.claimChanges = plan.rules && random.chance(25);
  plan.retention = random.chance(30);
  plan.tombstonePurge = random.chance(25);
  plan.purgeTables = random.chance(8);
  plan.subscribers = random.chance(50);
  plan.strict = random.chance(40);
  plan.durable = random.chance(85);
  drawFaults(plan, random);
  plan.streamed = random.chance(50);
  plan.maxDeleteFraction = plan.emptyResults ? 0.9 : 1.0;
  if (plan.amnesia) {
    for (TablePlan& table : plan.tables) table.hardDeletes = false;
  }
  return plan;
}

void shareLog(Plan& plan, SimRandom& random) {
  plan.gateways = static_cast<std::size_t>(random.between(2, 4));
  plan.storeFaults = random.chance(60);
  plan.gatewayCrashes = random.chance(60);
  plan.packedSnapshots = plan.packedSnapshots && !plan.gatewayCrashes;
  plan.durable = true;
}

}  // namespace tidegate::sim
