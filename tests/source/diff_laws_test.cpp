// Laws 5.1 and 5.4 of polling by diff, over many seeds.
#include "source/source_rig.h"
#include "support/property.h"

namespace tidegate::test {
namespace {

using Model = std::map<std::string, MapGateway::Row>;

/// A source of rows in a map, with columns that come and go, and its gateway: columns that went stay there.
class DiffWorld {
 public:
  explicit DiffWorld(Random& random) : random_(random) {}

  void write() {
    for (std::uint64_t writes = random_.below(6); writes > 0; --writes) {
      const std::string id = std::to_string(random_.between(1, 20));
      if (random_.chance(30)) {
        rows.erase(id);
      } else {
        for (const std::string& column : columns) {
          if (random_.chance(50) || rows[id].count(column) == 0) rows[id][column] = value();
        }
      }
    }
    if (random_.chance(8)) {
      const std::string name = std::string(1, static_cast<char>('a' + random_.below(5)));
      const auto at = std::find(columns.begin(), columns.end(), name);
      if (at == columns.end())
        columns.insert(columns.begin() + random_.between(0, 1), name);
      else if (columns.size() > 1)
        columns.erase(at);
    }
  }

  ResultSet result() const {
    std::vector<std::string> names = columns;
    names.insert(names.begin() + static_cast<std::ptrdiff_t>(names.size() / 2), "id");
    Rows out;
    std::vector<std::string> ids;
    for (const auto& [id, row] : rows) ids.push_back(id);
    random_.shuffle(ids);
    for (const std::string& id : ids) {
      auto& line = out.emplace_back();
      for (const std::string& name : names) line.push_back(name == "id" ? Value(id) : cell(id, name));
    }
    return resultOf(names, std::move(out));
  }
  Value cell(const std::string& id, const std::string& column) const {
    const auto& row = rows.at(id);
    const auto at = row.find(column);
    return at == row.end() ? Value() : at->second;
  }

  std::vector<std::string> columns{"a", "b"};
  Model rows;

 private:
  Value value() {
    switch (random_.below(6)) {
      case 0:
        return Null{};
      case 1:
        return random_.between(0, 3);
      case 2:
        return fmt::format("text {}", random_.below(3));
      case 3:
        return 0.5 * static_cast<double>(random_.below(3));
      case 4:
        return Timestamp::utc(random_.between(0, 3));
      default:
        return random_.chance(50);
    }
  }
  Random& random_;
};

void expectSource(const DiffWorld& world, const Model& gateway) {
  EXPECT_EQ(world.rows.size(), gateway.size());
  for (const auto& [id, row] : world.rows) {
    const auto at = gateway.find(id);
    ASSERT_NE(at, gateway.end()) << "row " << id;
    for (const std::string& column : world.columns) {
      const auto cell = at->second.find(column);
      const Value held = cell == at->second.end() ? Value() : cell->second;
      EXPECT_TRUE(sameValue(held, world.cell(id, column)))
          << "row " << id << " column " << column << ": " << describe(held) << " for "
          << describe(world.cell(id, column));
    }
  }
}

void runSeed(std::uint64_t seed) {
  Random random(seed);
  DiffWorld world(random);
  bool faults = true;
  QueryFn query(Dialect::postgres, [&](const Query& q) {
    EXPECT_TRUE(q.wholeResult);
    if (faults && random.chance(10)) throw std::runtime_error("no answer");
    ResultSet all = world.result();
    if (!faults || !random.chance(15)) return all;
    Rows broken;  // a result that names one row twice: nothing may be taken from it
    std::vector<Value> row;
    while (all.next(row)) broken.push_back(row);
    const Columns columns = all.columns();
    if (!broken.empty()) broken.push_back(broken[random.index(broken.size())]);
    return ResultSet::fromRows(columns, std::move(broken));
  });
  PollRig rig(query, {.table = "t", .query = "SELECT 1", .strategy = DiffStrategy{.maxDeleteFraction = 1.0}});
  rig.config.pushDeltas = static_cast<std::size_t>(random.between(1, 7));
  rig.gateway.judge = [&](const SyncPush&) {
    if (!faults || !random.chance(15)) return PushStatus::accepted;
    if (random.chance(30)) throw Error(ErrorCode::storeUnavailable, Retry::later, "gateway down");
    return random.chance(50) ? PushStatus::backPressure : PushStatus::rejected;
  };
  for (int poll = 0; poll < 12; ++poll) {
    world.write();
    rig.poll();
    if (random.chance(15)) rig.restart();
  }
  faults = false;
  rig.pollWell();
  expectSource(world, rig.rows());
  const std::size_t known = rig.gateway.log.size();
  const TableReport again = rig.pollWell();
  EXPECT_EQ(rig.gateway.log.size(), known) << "an unchanged table brought deltas";
  EXPECT_EQ(again.suppressed, again.rowsRead);
  for (const RowDelta& delta : rig.gateway.log) EXPECT_TRUE(delta.op != DeltaOp::erase || delta.columns.empty());
}

TEST(DiffLaws, TheGatewayEqualsTheSourceOnceItIsQuiet) {
  forEachSeed(1'500, [](std::uint64_t seed) { runSeed(seed); });
}

}  // namespace
}  // namespace tidegate::test
