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
  /// Asked before each answer; what it gives is the answer. What it refers to must outlive this server, which may be at
  /// a request that its reader has given up.
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

  /// A consumer of enhanced fan-out as somebody else registered it. @return its ARN.
  std::string addConsumer(const std::string& name);
  std::vector<std::string> consumers() const;
  void setConsumerLimit(std::size_t most);
  /// A second subscription to a shard is refused so long after the first; later it takes its place. AWS: five seconds.
  void setBusyTime(std::chrono::milliseconds time);
  /// How a subscription ends, or what is sent to all that there are.
  void expireSubscriptions();
  void cutSubscriptionsWithinAMessage();
  void sendToSubscriptions(const std::string& octets);
  /// The next event with records has an octet that is another one by then.
  void damageNextEvent();
  std::size_t subscriptions() const;
  /// Octets that the shard's subscription was given and its reader has not taken from the server's side.
  std::size_t pending(const std::string& shard) const;
  /// Where subscriptions began, in their order: "s0 TRIM_HORIZON".
  std::vector<std::string> begins() const;

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
  struct Consumer {
    std::string name;
    int looks;  ///< until it is ACTIVE
  };
  struct Open {
    std::string consumer;
    std::string shard;
    std::uint64_t from;
    std::chrono::steady_clock::time_point since;
    http::BodyStream body;
    bool over = false;
  };
  http::Response answer(const http::Request& request);
  http::Response answerAboutConsumers(const std::string& action, const http::Request& request);
  void subscribe(const http::Request& request, http::Responder responder);
  std::optional<http::Response> refusalOf(const std::string& consumer, const std::string& shard) const;
  void push(Open& open);
  void pushAll();
  std::string eventFor(Open& open);
  std::uint64_t firstOf(const std::string& shard, const std::string& type, const std::string& sequence, double time);
  std::optional<http::Response> faultFor(const Asked& asked);
  std::string listShards(const std::string& next);
  http::Response object(const http::Request& request) const;
  std::string iteratorFor(const std::string& shard, const std::string& type, const std::string& sequence, double time);
  std::string recordsAt(const std::string& iterator);

  mutable std::mutex mutex_;
  std::map<std::string, Shard> shards_;            ///< guarded by mutex_, as all below
  std::map<std::string, http::Response> objects_;  ///< by path
  std::map<std::string, std::size_t> asked_;
  std::map<std::string, Consumer> consumers_;  ///< by ARN
  std::size_t consumerLimit_ = 20;
  std::vector<Open> open_;
  std::map<std::pair<std::string, std::string>, std::chrono::steady_clock::time_point> subscribed_;
  std::vector<std::string> begins_;
  std::chrono::milliseconds busyTime_{0};
  bool damage_ = false;
  Fault fault_;
  std::uint64_t next_ = 100;
  std::unique_ptr<http::Server> server_;
};

}  // namespace tidegate::kinesis::testing
