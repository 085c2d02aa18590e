/// What tests do to the emulators as other programs would: write objects, put records, split shards.
/// The emulators come from tests/kinesis/with_emulators.sh.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidegate/http/client.h"

namespace tidegate::kinesis::testing {

/// A variable that with_emulators.sh sets. @throws std::runtime_error that names the script.
std::string emulatorUrl(const char* variable);
std::uint16_t portOf(const std::string& url);
/// A name that no other test has.
std::string freshName(std::string_view prefix);

/// @thread One at a time.
class Kinesalite {
 public:
  explicit Kinesalite(std::string url);
  void create(const std::string& stream, unsigned shards);
  struct Put {
    std::string shard;
    std::string sequence;
  };
  Put put(const std::string& stream, std::string_view data, const std::string& partitionKey);
  void putMany(const std::string& stream, const std::vector<std::pair<std::string, std::string>>& dataAndKeys);
  /// Splits a shard in its middle, and waits.
  void split(const std::string& stream, const std::string& shard);
  void merge(const std::string& stream, const std::string& first, const std::string& second);
  struct Shard {
    std::string id;
    bool open;
  };
  std::vector<Shard> shards(const std::string& stream);

 private:
  std::string call(const std::string& action, const std::string& body);
  std::string url_;
  http::Client client_;
};

/// Puts an object into the bucket "snapshots".
void putObject(const std::string& url, const std::string& key, std::string body);

}  // namespace tidegate::kinesis::testing
