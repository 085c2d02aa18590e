/// The gateway once more, as maps and loops: last-writer-wins per column (law 4.2) and what ingest senders last brought
/// (docs/decisions/0004). Shares no code with what it checks.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "simulation/model_types.h"
#include "tidegate/core/delta.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::sim {

class ModelGateway {
 public:
  /// Applies an accepted push. @return how many of its deltas changed what readers see.
  std::size_t apply(const SyncPush& push, PushContext context);
  std::optional<ModelRow> row(const Key& key) const;
  /// Every visible row.
  ModelState visible() const;
  /// What a sender last brought for a row: column by column, empty where its last word was an erase.
  ModelRow brought(const Key& key, const std::string& sender) const;
  /// Every key that the sender has brought something for.
  std::set<Key> broughtKeys(const std::string& sender) const;
  void purgeTable(const std::string& table);

 private:
  using Stamp = std::pair<std::uint64_t, std::string>;
  struct Cell {
    Value value;
    Stamp stamp;
  };
  struct Brought {
    std::string sender;
    Value value;
  };
  struct Life {
    Stamp inserted, erased;
    std::map<std::string, Cell> cells;
    std::map<std::string, Brought> brought;
  };

  static std::optional<ModelRow> rowOf(const Life& life);
  static void applyIngest(Life& life, const RowDelta& delta);
  static void applyPlain(Life& life, const RowDelta& delta);
  static void writeCell(Life& life, const std::string& column, const Value& value, const Stamp& stamp);

  std::map<Key, Life> rows_;
};

}  // namespace tidegate::sim
