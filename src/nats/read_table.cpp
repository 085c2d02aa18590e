#include "nats/detail/read_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace tidegate::nats::detail {
namespace {

constexpr std::chrono::milliseconds kFoldLook{100};

}  // namespace

void foldStream(JetStream& js, const std::string& stream, FoldedStream& out, const std::stop_token& stop) {
  const StreamInfo info = js.info(stream, stop);
  const std::uint64_t first = std::max<std::uint64_t>(info.firstSequence, 1);
  out.fromBeginning = first == 1;
  if (info.lastSequence < first) return;
  UnitReader reader(js, stream, first - 1);
  const UnitReader::Visitor visitor{.event =
                                        [&](ChangeEvent& event, std::uint64_t) {
                                          out.fold.apply(event);
                                          return true;
                                        },
                                    .unit =
                                        [&](const ControlRecord& record, std::uint64_t sequence) {
                                          out.committedAt = sequence;
                                          if (record.shapesAt != 0) return true;
                                          out.tables.clear();
                                          for (const auto& [table, name] : record.tables) {
                                            const auto shape = record.shapes.find(name);
                                            if (shape != record.shapes.end()) out.tables[table] = shape->second;
                                          }
                                          return true;
                                        }};
  while (reader.sequence() < info.lastSequence) {
    if (stop.stop_requested()) {
      throw Error(ErrorCode::queryCancelled, Retry::later, fmt::format("reading stream \"{}\" was stopped", stream));
    }
    reader.read(kFoldLook, visitor, stop);
  }
}

}  // namespace tidegate::nats::detail
