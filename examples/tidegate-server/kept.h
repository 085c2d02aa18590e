/// What gateways are told over HTTP, kept in files beside their stores, so that a restart forgets no rule.
#pragma once

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "tidegate/gateway/gateway.h"

/// The files of one gateway: "<stem>-rules.json" and "<stem>-schemas.json". A file is replaced whole or not at all.
/// @throws tidegate::Error{storeUnavailable} for one that cannot be written; {storeCorrupt} for one that is no such
/// file.
/// @thread Any.
class KeptGateway {
 public:
  explicit KeptGateway(std::string stem) : stem_(std::move(stem)) {}

  /// Everybody sees everything where nothing was kept.
  tidegate::SyncRules rules() const;
  std::vector<tidegate::TableSchema> schemas() const;
  /// What the gateway holds by now, whoever told it: of two that post at once the files end with the later.
  void keepRulesOf(const tidegate::Gateway& gateway);
  void keepSchemasOf(const tidegate::Gateway& gateway);

 private:
  std::string rulesFile() const { return stem_ + "-rules.json"; }
  std::string schemasFile() const { return stem_ + "-schemas.json"; }

  const std::string stem_;
  std::mutex mutex_;  ///< what is asked of the gateway and written is one step
};
