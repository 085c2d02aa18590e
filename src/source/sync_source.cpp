#include "tidegate/source/sync_source.h"

namespace tidegate {

std::string_view toString(OrderingGuarantee guarantee) noexcept {
  switch (guarantee) {
    case OrderingGuarantee::total:
      return "total";
    case OrderingGuarantee::perTable:
      return "perTable";
    case OrderingGuarantee::perPartition:
      return "perPartition";
    case OrderingGuarantee::bestEffort:
      return "bestEffort";
  }
  return "?";
}

std::unique_ptr<RowStream> SyncSource::readTable(const std::string& table, std::stop_token) {
  throw Error(ErrorCode::invalidArgument, Retry::never,
              "this source cannot read table \"" + table + "\" for verification; verify other pipelines only");
}

}  // namespace tidegate
