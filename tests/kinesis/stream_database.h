/// A stream and a bucket as one database, for the contract: what is committed are records, and a snapshot is written
/// whenever a baseline is about to be read, as a nightly job would.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "contract/source_rig.h"
#include "kinesis/emulators.h"
#include "support/tcp_proxy.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::kinesis::testing {

TableSchema contractTable(const std::string& name);
/// The record of one change, as JSON.
std::string recordOf(const std::string& table, const contract::SourceChange& change);
/// Reads quickly, and tries again for ever.
SourceOptions quickOptions(const std::string& stream, const std::string& prefix);

class StreamDatabase final : public contract::SourceDatabase {
 public:
  /// @param fanOut whether its sources read by subscriptions
  explicit StreamDatabase(unsigned shards, bool fanOut = false);

  std::vector<std::string> tables() const override { return {"public.first", "public.second"}; }
  void commit(const std::vector<contract::SourceChange>& changes) override;
  std::unique_ptr<SyncSource> source() override;
  bool disconnect() override;

  /// Writes all rows and the place in the stream that they have.
  void writeSnapshot();
  const std::string& stream() const { return stream_; }
  Kinesalite& kinesis() { return kinesis_; }

 private:
  using Rows = std::map<std::int64_t, contract::SourceRow>;
  void writeTable(std::size_t table);
  void writeManifest();

  const std::string stream_;
  const bool fanOut_;
  std::mutex mutex_;
  Kinesalite kinesis_;  ///< guarded by mutex_, as all below
  test::TcpProxy kinesisProxy_;
  test::TcpProxy s3Proxy_;
  std::vector<Rows> rows_{2};
  std::map<std::string, std::string> last_;  ///< sequence number of each shard's last record
};

}  // namespace tidegate::kinesis::testing
