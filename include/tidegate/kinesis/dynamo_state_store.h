/// A StateStore in a DynamoDB table.
///
///     auto store = kinesis::dynamoStateStore({.table = "tidegate-state", .createMissing = true});
#pragma once

#include <memory>
#include <string>

#include "tidegate/core/state_store.h"
#include "tidegate/kinesis/credentials.h"

namespace tidegate::kinesis {

struct DynamoStateStoreOptions {
  std::string table{};                                 ///< its one key attribute is the text "k"
  bool createMissing = false;                          ///< makes the table, paid by request, where there is none
  std::string region{};                                ///< empty: `defaultRegion`
  std::string endpoint{};                              ///< empty: the region's
  std::shared_ptr<CredentialsProvider> credentials{};  ///< null: `defaultCredentials`
  const Clock* clock = nullptr;                        ///< null: the system's
};

/// An entry over DynamoDB's 400 KB is kept in several items; the change from the old ones to the new is one conditional
/// write, so an entry is always whole. Reads are consistent.
/// @throws Error{invalidConfig}; Error{storeUnavailable} where the table cannot be reached or is missing.
std::shared_ptr<StateStore> dynamoStateStore(DynamoStateStoreOptions options);

}  // namespace tidegate::kinesis
