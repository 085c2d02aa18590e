/// Reads the logs of all gateways side by side: they have to be one log, in which each change is once.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "cluster/check.h"
#include "tidegate/http/client.h"

namespace tidegate::chaos {

/// What begins with "never:" cannot come right by waiting.
/// @thread One.
class Audit {
 public:
  Audit(std::vector<std::string> gateways, std::string folder);

  /// Reads on, as far as all gateways say the same, octet by octet. @return how they differ; empty: they do not.
  std::string readOn();
  /// Whether what was read comes to the truth.
  std::string compare(const Truth& truth) const;
  /// Begins at the log's beginning again.
  void rewind();

  std::uint64_t changes() const { return told_.size(); }

 private:
  bool ask(std::size_t gateway, std::string& body, std::string& failure);
  std::string learn(const std::string& page, bool& more);
  std::string learnOne(const RowDelta& delta);
  std::string learnOrder(const RowDelta& delta);
  void keep(const std::vector<std::string>& pages) const;

  const std::vector<std::string> gateways_;
  const std::string folder_;
  http::Client http_;
  std::string since_ = "0";
  std::uint64_t stamp_ = 0;
  std::set<std::string> told_{};  ///< ids of changes, with their op
  Replica replica_{};
};

}  // namespace tidegate::chaos
