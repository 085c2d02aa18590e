#include "tidegate/sink/sink.h"

namespace tidegate {

bool Sink::tryCommit(std::string_view) { return false; }

std::unique_ptr<RowStream> Sink::readTable(const Shape& shape, std::stop_token) {
  throw Error(ErrorCode::invalidArgument, Retry::never,
              "this sink cannot read back table \"" + shape->schema.table + "\"; verify other pipelines only");
}

std::uint64_t Sink::expire(const Shape& shape, std::string_view column, const Value&) {
  throw Error(ErrorCode::invalidArgument, Retry::never,
              "this sink cannot expire rows of table \"" + shape->schema.table + "\" by column \"" +
                  std::string(column) + "\": take the time to live off the pipeline");
}

}  // namespace tidegate
