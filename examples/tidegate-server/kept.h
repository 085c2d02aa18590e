/// What gateways are told over HTTP, kept in files beside their stores, so that a restart forgets no rule.
#pragma once

#include <string>
#include <vector>

#include "tidegate/core/schema.h"
#include "tidegate/gateway/sync_rules.h"

/// The files of one gateway: "<stem>-rules.json" and "<stem>-schemas.json". A file is replaced whole or not at all.
/// @throws tidegate::Error{storeUnavailable} for one that cannot be written, {storeCorrupt} for one that is no such
/// file.
class KeptGateway {
 public:
  explicit KeptGateway(std::string stem) : stem_(std::move(stem)) {}

  /// Everybody sees everything where nothing was kept.
  tidegate::SyncRules rules() const;
  std::vector<tidegate::TableSchema> schemas() const;
  void keep(const tidegate::SyncRules& rules) const;
  /// Beside those of other tables.
  void keep(const tidegate::TableSchema& schema) const;

 private:
  std::string rulesFile() const { return stem_ + "-rules.json"; }
  std::string schemasFile() const { return stem_ + "-schemas.json"; }

  std::string stem_;
};
