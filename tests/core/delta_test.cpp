#include "tidegate/core/delta.h"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "tidegate/core/json.h"

namespace tidegate {
namespace {

nlohmann::json vectors() {
  std::ifstream file(TIDEGATE_TEST_DATA "/delta_ids.json");
  return nlohmann::json::parse(file);
}

TEST(DeltaId, MatchesTheIndependentVectorsExactly) {
  const nlohmann::json all = vectors();
  ASSERT_GE(all["vectors"].size(), 14u);
  for (const auto& v : all["vectors"]) {
    SCOPED_TRACE(v["name"].get<std::string>());
    RowDelta delta;
    delta.op = *parseDeltaOp(v["op"].get<std::string>());
    const std::string canonical = v["canonical"];
    // The canonical text has no op; deltaFromJson wants one.
    delta = deltaFromJson("{\"op\":\"" + v["op"].get<std::string>() + "\"," + canonical.substr(1));
    std::string ours;
    appendCanonicalJson(delta, ours);
    EXPECT_EQ(ours, canonical);
    EXPECT_EQ(computeDeltaId(delta).hex(), v["deltaId"].get<std::string>());
  }
}

}  // namespace
}  // namespace tidegate
