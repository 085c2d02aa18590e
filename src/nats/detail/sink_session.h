/// All that belongs to one `open` of a sink: the claim on the stream, and the unit of work under way.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "nats/detail/control_record.h"

namespace tidegate::nats::detail {

/// What is known of the tables' shapes. Undone with the unit.
struct TableShapes {
  std::map<std::string, std::string> tables{};  ///< the name of each table's shape, as last written or prepared
  std::map<std::string, Shape> shapes{};        ///< by name
  std::set<std::string> prepared{};             ///< tables of which nothing was written yet
  std::set<std::string> reading{};              ///< tables with a baseline under way
  bool changed = false;                         ///< since the last record that has them
};

/// @thread One at a time.
class SinkSession {
 public:
  SinkSession(const SinkOptions& options, const SinkContext& context);

  /// Takes the stream over. @return the checkpoint of the last commit.
  std::optional<std::string> open();
  void prepare(const Shape& shape);
  void apply(const ChangeEvent& event);
  void commit(std::string_view checkpoint);
  void undo() noexcept;

  JetStream& js() noexcept { return js_; }
  const StreamNames& names() const noexcept { return names_; }

 private:
  /// What becomes of a message whose id the server knew already.
  enum class Repeat {
    counts,   ///< it stands where it belongs: a writer before us got that far
    counted,  ///< an earlier commit has it
    again     ///< it does not count there: write it under another id
  };

  bool tryClaim();
  bool isStrayMark(std::string_view mark) const;
  void write(const ChangeEvent& event);
  void changeShape(const ChangeEvent& event, const std::string& name);
  std::string subjectOf(const ChangeEvent& event) const;
  std::string packedKeyOf(const ChangeEvent& event) const;
  std::string idOf(const ChangeEvent& event, const std::string& shapeName, std::string_view body);
  void spill();
  /// Appends `pending_`, and the control record after it where one is given.
  void appendPending(const ControlRecord* control);
  void judge(const Place& place);
  Repeat repeatAt(std::uint64_t sequence);
  std::string nextMark();
  OutMessage controlMessage(const ControlRecord& record);
  void appendControl(const ControlRecord& record);
  bool shapesAreDue();
  void noteControl(std::uint64_t sequence, bool hasShapes);
  [[noreturn]] void refuseFenced(const ForeignWrite& by);

  const SinkOptions& options_;
  const std::string pipeline_;
  const std::stop_token stop_;
  const StreamNames names_;
  Connection connection_;
  JetStream js_;
  std::unique_ptr<FencedLog> log_;
  std::size_t partBytes_;
  ShapeNames shapeNames_;

  std::string nonce_;
  bool claimed_ = false;  ///< the stream is ours since `epoch_`
  std::uint64_t epoch_ = 0, unit_ = 0, marks_ = 0;
  std::optional<std::string> checkpoint_;
  std::uint64_t committedAt_ = 0;  ///< the last control record
  std::uint64_t shapesAt_ = 0;     ///< the last one with shapes
  std::uint64_t bytesSinceShapes_ = 0;
  std::chrono::microseconds shapesTime_{0};

  TableShapes committed_, now_;
  std::map<std::string, Shape> unitShapes_;  ///< that the unit's messages have, though no table has them any more
  std::vector<OutMessage> pending_;
  std::vector<bool> included_;  ///< of the messages being appended: whether each counts where it is
  std::size_t judged_ = 0;      ///< of them, the first that is not decided on
  std::uint64_t greatest_ = 0;  ///< place of those that count so far
  std::size_t pendingBytes_ = 0;
  std::vector<Run> runs_;
  bool spilled_ = false;
  std::string lastPosition_;
  std::uint64_t samePosition_ = 0;
};

}  // namespace tidegate::nats::detail
