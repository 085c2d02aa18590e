/// What an Electric source keeps between its calls.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "electric/detail/source_run.h"

namespace tidegate::electric::reading {

struct ElectricCore {
  explicit ElectricCore(SourceOptions given);

  /// @throws Error{tableNotFound}
  const SourceShape& shapeOf(const std::string& table) const;
  http::ClientOptions clientOptions() const;
  /// What a run works with; it may be paused and its steps are seen.
  RunParts runParts();
  void warn(const std::string& message) const;
  /// Goes to CONNECTED, from wherever that makes sense. @throws Error{stopped}
  void connect(const std::string& reason);
  /// The columns of a shape, as the server describes them now.
  Shape describe(const SourceShape& shape);
  /// A shape's rows as they are now, folded from its log on a connection of its own. @thread Any.
  std::unique_ptr<RowStream> readTable(const SourceShape& shape, const std::stop_token& stop) const;

  const SourceOptions options;
  SourceContext context{};
  const Clock* clock;
  Scheduler* scheduler;
  SourceStateMachine state{};
  std::atomic<bool> paused{false};
  Epochs epochs;
  http::Client client;

  // The driving thread's.
  SourcePlaces places{};                ///< how far each shape was told or read, by this process
  std::map<std::string, Shape> told{};  ///< and the shapes its readers know

  mutable std::mutex mutex{};
  RunLag lag{};          ///< guarded by mutex
  SourcePlaces acked{};  ///< guarded by mutex
};

}  // namespace tidegate::electric::reading
