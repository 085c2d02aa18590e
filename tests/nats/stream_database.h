/// A pipeline's stream as the database under a NATS source.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "contract/source_rig.h"
#include "nats/nats_rig.h"
#include "support/tcp_proxy.h"
#include "tidegate/nats/sink.h"
#include "tidegate/nats/source.h"

namespace tidegate::nats::testing {

/// Two tables that a sink writes, and sources that read its stream through a relay.
class StreamDatabase final : public contract::SourceDatabase {
 public:
  explicit StreamDatabase(Body body = Body::json, std::size_t bufferBytes = 64u << 20);

  std::vector<std::string> tables() const override { return {"users", "orders"}; }
  void commit(const std::vector<contract::SourceChange>& changes) override;
  std::unique_ptr<SyncSource> source() override;
  bool disconnect() override;
  bool forgetHistory() override;

  const std::string& stream() const noexcept { return stream_; }

 private:
  void openSink();
  /// What a pipeline does first, and again when it reads its tables anew.
  void writeBaseline();
  void commitBatch();

  const std::string stream_;
  const std::size_t bufferBytes_;
  test::TcpProxy proxy_;
  SinkOptions options_;
  std::shared_ptr<Sink> sink_;
  std::vector<Shape> shapes_;
  std::map<std::int64_t, contract::SourceRow> rows_[2];
  ChangeBatch batch_;
  std::uint64_t place_ = 0;
};

}  // namespace tidegate::nats::testing
