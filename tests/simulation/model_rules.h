/// The sync rules once more, slowly and plainly: what a client must see, computed from a whole row.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "simulation/model_types.h"
#include "simulation/plan.h"
#include "simulation/sim_random.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate::sim {

struct ModelFilter {
  std::string column;
  std::string op;  ///< the wire's: eq, neq, in, gt, gte, lt, lte
  std::vector<std::string> literals;
  std::string claim;  ///< the claim's name instead of literals
};

struct ModelBucket {
  std::vector<std::string> tables;  ///< empty: every table
  std::vector<ModelFilter> filters;
};

struct ModelRules {
  std::vector<ModelBucket> buckets;  ///< empty: everybody sees everything

  bool sees(const Claims& claims, const std::string& table, const ModelRow& row) const;
  /// LakeSync's JSON, written by hand.
  std::string json() const;
};

ModelRules drawRules(const Plan& plan, SimRandom& random);
Claims drawClaims(SimRandom& random);
std::string show(const Claims& claims);

}  // namespace tidegate::sim
