/// Kinesis as far as a reader sees it, with the failures that emulators do not have.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tidegate/http/server.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::kinesis::testing {

/// @thread Any.
class FakeKinesis {
 public:
  FakeKinesis();
  ~FakeKinesis();
  FakeKinesis(const FakeKinesis&) = delete;
  FakeKinesis& operator=(const FakeKinesis&) = delete;

  /// A request as a fault sees it. `shard` is empty where it names none.
  struct Asked {
    std::string action{};
    std::string shard{};
    std::string date{};  ///< x-amz-date
  };
  /// Asked before each answer; what it gives is the answer.
  using Fault = std::function<std::optional<http::Response>(const Asked& asked)>;
  void setFault(Fault fault);
  static http::Response refusal(int status, const std::string& type, const std::string& message = "no");

  void addShard(const std::string& shard, std::vector<std::string> parents = {});
  /// No record will follow.
  void closeShard(const std::string& shard);
  void removeShard(const std::string& shard);
  /// @return its sequence number.
  std::string put(const std::string& shard, const std::string& data, std::chrono::milliseconds age = {});
  /// An object of the bucket, last changed so long ago.
  void putObject(const std::string& key, const std::string& body, std::chrono::milliseconds age = {});
  /// Forgets the shard's first records.
  void trim(const std::string& shard, std::size_t count);
  std::size_t asked(const std::string& action) const;

  /// Options of a source that reads it, and needs no S3 to stream.
  SourceOptions options() const;
  static std::string insert(std::int64_t id);

 private:
  struct Record {
    std::uint64_t sequence;
    std::string data;
    double arrival;
  };
  struct Shard {
    std::vector<std::string> parents{};
    std::vector<Record> records{};
    bool closed = false;
  };
  http::Response answer(const http::Request& request);
  std::string listShards(const std::string& next);
  http::Response object(const http::Request& request) const;
  std::string iteratorFor(const std::string& shard, const std::string& type, const std::string& sequence, double time);
  std::string recordsAt(const std::string& iterator);

  mutable std::mutex mutex_;
  std::map<std::string, Shard> shards_;            ///< guarded by mutex_, as all below
  std::map<std::string, http::Response> objects_;  ///< by path
  std::map<std::string, std::size_t> asked_;
  Fault fault_;
  std::uint64_t next_ = 100;
  std::unique_ptr<http::Server> server_;
};

}  // namespace tidegate::kinesis::testing
