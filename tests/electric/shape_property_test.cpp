// Random transactions, read by clients of many shapes that lag, start late and are rotated: each ends with exactly the
// rows that its condition takes, and never sees a message that does not follow from what it has.
#include <gtest/gtest.h>

#include "electric/detail/pg_text.h"
#include "electric/shape_rig.h"
#include "support/property.h"

namespace tidegate::electric::test {
namespace {

using tidegate::test::Random;

constexpr std::array<const char*, 7> kConditions{"",
                                                 "owner = 'ada'",
                                                 "rank > 1 AND title IS NOT NULL",
                                                 "owner IN ('ada', 'bob') OR rank = 0",
                                                 "id % 2 = 0",
                                                 "title LIKE 'a%' OR NOT (owner = 'cyd')",
                                                 "id = 3"};

struct Model {
  std::map<std::int64_t, Row> rows;
};

Row randomNote(Random& random, std::int64_t id) {
  const auto text = [&](std::initializer_list<const char*> from) {
    const std::size_t i = random.index(from.size() + 1);
    return i == from.size() ? Value() : Value(*(from.begin() + i));
  };
  return {id, text({"ada", "bob", "cyd"}), text({"a", "ab", "b"}), static_cast<std::int64_t>(random.below(4))};
}

Changes randomTransaction(Random& random, Model& model, const tidegate::Shape& table, std::uint64_t number) {
  Changes changes(table);
  changes.next(number);
  for (std::uint64_t n = 1 + random.below(4); n > 0; --n) {
    const auto id = static_cast<std::int64_t>(random.below(12));
    const bool known = model.rows.contains(id);
    if (known && random.chance(30)) {
      changes.erase(id);
      model.rows.erase(id);
      continue;
    }
    const Row row = randomNote(random, id);
    model.rows[id] = row;
    known ? changes.update(row) : changes.insert(row);
  }
  return changes;
}

void expectSame(const ShapeClient& client, const Model& model, const ShapeDefinition& what) {
  std::map<std::string, nlohmann::json> expected;
  for (const auto& [id, row] : model.rows) {
    if (!what.where.matches(row)) continue;
    nlohmann::json value;
    for (const std::uint32_t column : what.columns) {
      const std::string& name = (*what.table->columns)[column];
      value[name] = row[column].isNull() ? nlohmann::json() : nlohmann::json(detail::pgText(row[column]));
    }
    expected["\"public\".\"notes\"/\"" + std::to_string(id) + "\""] = value;
  }
  EXPECT_TRUE(client.rows == expected) << what.where.text() << "\nexpected " << nlohmann::json(expected).dump()
                                       << "\nfound    " << nlohmann::json(client.rows).dump();
}

ShapeDefinition randomDefinition(Random& random, const tidegate::Shape& table) {
  const std::string where = random.pick(kConditions);
  ShapeDefinition out = defined(table, where == "id % 2 = 0" ? "id BETWEEN 2 AND 5" : where, random.chance(30));
  if (random.chance(40)) out.columns = {0, static_cast<std::uint32_t>(1 + random.below(3))};
  return out;
}

TEST(ShapeProperty, ClientsEndWithTheRowsThatTheirShapesTake) {
  std::size_t refetches = 0;
  tidegate::test::forEachSeed(40, [&](std::uint64_t seed) {
    Random random(seed);
    ShapeHub hub(
        {.maxShapes = 6, .maxShapeLogBytes = 3'000, .maxLogBytes = 10'000, .maxSnapshots = 2, .chunkBytes = 400});
    const tidegate::Shape table = notes();
    hub.prepare(table);
    Model model;
    std::vector<std::pair<ShapeDefinition, std::unique_ptr<ShapeClient>>> clients;
    for (std::uint64_t step = 1; step <= 120; ++step) {
      if (random.chance(8) && clients.size() < 8) {
        ShapeDefinition definition = randomDefinition(random, table);
        auto client = std::make_unique<ShapeClient>(hub, definition);
        clients.emplace_back(std::move(definition), std::move(client));
      }
      if (random.chance(1)) hub.rotate("notes", {});
      hub.commit(randomTransaction(random, model, table, step).events());
      for (auto& [definition, client] : clients) {
        if (random.chance(25)) client->catchUp();
      }
      if (::testing::Test::HasFailure()) return;
    }
    for (auto& [definition, client] : clients) {
      client->catchUp();
      expectSame(*client, model, definition);
      refetches += client->refetches;
    }
    const ShapeFeedStats stats = hub.stats();
    EXPECT_LE(stats.shapes, 6u);
    EXPECT_LE(stats.logBytes, 10'000u);
    EXPECT_LE(stats.snapshots, 2u);
  });
  if (std::getenv("TIDEGATE_SEED") == nullptr) {
    EXPECT_GT(refetches, tidegate::test::seedsOf(40) / 2) << "logs that were too short are among them";
  }
}

}  // namespace
}  // namespace tidegate::electric::test
