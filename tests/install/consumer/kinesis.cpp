#include "tidegate/kinesis/source.h"

#include "tidegate/kinesis/dynamo_state_store.h"

using namespace tidegate;

int main() {
  const auto keys = kinesis::staticCredentials({.accessKeyId = "id", .secretAccessKey = "secret"});
  const auto source =
      kinesis::source({.stream = "changes", .bucket = "snapshots", .region = "eu-west-1", .credentials = keys});
  source->init({});
  const Position at = source->positionFromText("k1|shardId-000000000000=7@1700000000000|");
  bool refused = false;
  try {
    kinesis::dynamoStateStore({.region = "eu-west-1", .credentials = keys});
  } catch (const Error& e) {
    refused = e.code() == ErrorCode::invalidConfig;
  }
  return refused && source->comparePositions(at, at) == std::partial_ordering::equivalent ? 0 : 1;
}
