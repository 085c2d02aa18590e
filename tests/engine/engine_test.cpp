#include "tidegate/engine/engine.h"

#include <gtest/gtest.h>

#include "engine/engine_rig.h"

namespace tidegate {
namespace {

class EngineTest : public test::EngineRig {
 protected:
  EngineTest() { db->createTable(test::peopleSchema()); }
};

TEST_F(EngineTest, BringsWhatIsThereAndThenWhatChanges) {
  db->insert("people", {1, "Ada", 10});
  db->insert("people", {2, "Bob", 20});
  make({pipeline()});
  run();
  expectSame();
  db->commit([](TestTransaction& t) { t.update("people", {1, "Ada L.", 11}).insert("people", {3, "Cyd", 30}); });
  db->erase("people", {2});
  run();
  expectSame();
  EXPECT_EQ(engine->stop(), StopOutcome::drained);
}

TEST_F(EngineTest, ARestartGoesOnWhereTheCheckpointIs) {
  db->insert("people", {1, "Ada", 10});
  make({pipeline()});
  run();
  crash();
  db->insert("people", {2, "Bob", 20});
  make({pipeline()});
  run();
  expectSame();
  EXPECT_EQ(observer->count("baselineBegin"), 1u);
}

TEST_F(EngineTest, AcknowledgesWhatIsDurable) {
  db->insert("people", {1, "Ada", 10});
  make({pipeline()});
  run();
  db->insert("people", {2, "Bob", 20});
  run();
  engine->stop();
  EXPECT_EQ(source().lastAckedPosition(), source().end());
}

}  // namespace
}  // namespace tidegate
