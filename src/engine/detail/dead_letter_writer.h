/// Blames changes for a failure, and moves those that are guilty to the dead letters.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/detail/piece.h"
#include "tidegate/core/clock.h"
#include "tidegate/engine/pipeline.h"

namespace tidegate::detail {

/// @thread One at a time.
class DeadLetterWriter {
 public:
  DeadLetterWriter(const PipelineSpec& spec, const SyncSource& source, const Clock& clock)
      : spec_(spec), source_(source), clock_(clock) {}

  /// Whether the change is a dead letter already.
  bool leftOut(const Piece& piece, std::uint32_t origin) const;
  /// The change is being applied, alone.
  void suspect(const Piece& piece, std::uint32_t origin);
  /// That went well; its transaction's commit may still fail, for which it is remembered if `commitMayBlame`.
  void acquit(const Piece& piece, std::uint32_t origin, bool commitMayBlame);
  /// All that was applied is durable, or will be applied again.
  void acquitAll();
  /// The open unit's pieces are given up: its commit can blame nobody.
  void piecesGone();
  /// Whether there is a change to blame, and only changes of rows are.
  bool canBlame() const;
  /// Writes the suspect, or where a commit failed all changes of its transaction. They are left out from then on.
  /// @throws Error{storeUnavailable}
  std::vector<DeadLetter> write(const Error& error);
  /// Everything up to `durable` is; dead letters before it are never met again.
  void passed(const Position& durable);
  /// Finds the dead letters of changes that are not durable yet: written by a process that ended before its commit.
  void load(const Position& durable);
  /// Whether changes to come are dead letters already.
  bool leavesSomeOut() const noexcept { return !left_.empty(); }

 private:
  struct Change {
    std::string name;
    Position position;
    DeadLetter letter;
    bool row = false;
  };
  std::string nameOf(const Piece& piece, std::uint32_t origin, const ChangeEvent& event) const;
  void remember(const DeadLetter& letter, const Position& durable);
  Change describe(const Piece& piece, std::uint32_t origin) const;

  const PipelineSpec& spec_;
  const SyncSource& source_;
  const Clock& clock_;
  std::optional<std::pair<const Piece*, std::uint32_t>> suspect_{};
  std::vector<std::pair<const Piece*, std::uint32_t>> applied_{};
  bool incomplete_ = false;                 ///< applied_ lacks some, whose pieces are gone
  std::map<std::string, Position> left_{};  ///< names and places of dead letters that are not behind us
};

}  // namespace tidegate::detail
