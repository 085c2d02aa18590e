#include <fmt/format.h>

#include <utility>

#include "server/detail/sync_core.h"
#include "server/detail/sync_schema.h"

namespace tidegate::server::detail {
namespace {

using GatewayWork = http::Response (*)(const ServedGateway& served, const Call& call);

http::Response saveRules(const ServedGateway& served, const Call& call) {
  const SyncRules rules = SyncRules::parse(call.request.body);
  served.gateway->setSyncRules(rules);
  if (served.onSyncRules) served.onSyncRules(rules);
  return syncJson(R"({"saved":true})");
}

http::Response showRules(const ServedGateway& served, const Call&) {
  return syncJson(served.gateway->syncRules().toJson());
}

http::Response saveSchema(const ServedGateway& served, const Call& call) {
  const TableSchema schema = syncSchemaFromJson(call.request.body);
  served.gateway->setSchema(schema);
  if (served.onSchema) served.onSchema(schema);
  return syncJson(R"({"saved":true})");
}

/// What was accepted is in the store already, where there is one: there is no buffer of the gateway's own to write out.
http::Response flushGateway(const ServedGateway& served, const Call&) {
  try {
    if (served.onFlush) served.onFlush();
    served.gateway->enforceRetention();
  } catch (const std::exception&) {
    SyncRefusal refusal = syncRefusalFor(std::current_exception());
    refusal.code = "FLUSH_ERROR";
    return syncAnswer(refusal);
  }
  return syncJson(R"({"flushed":true})");
}

http::Response gatewayMetrics(const ServedGateway& served, const Call&) {
  const GatewayStats s = served.gateway->stats();
  return syncJson(fmt::format(
      R"({{"logSize":{},"indexSize":{},"byteSize":{},"tombstones":{},"logBytes":{},"clients":{},"subscribers":{},)"
      R"("pushes":{},"pushesRejected":{},"pushesBackPressured":{},"deltasApplied":{},"deltasDuplicate":{},)"
      R"("deltasNoEffect":{},"pulls":{},"resyncs":{},"storeCommits":{},"storeFailures":{},"firstHlc":"{}",)"
      R"("lastHlc":"{}"}})",
      s.logEntries, s.rows, s.bytes, s.tombstones, s.logBytes, s.clients, s.subscribers, s.pushes, s.pushesRejected,
      s.pushesBackPressured, s.deltasApplied, s.deltasDuplicate, s.deltasNoEffect, s.pulls, s.resyncs, s.storeCommits,
      s.storeFailures, s.firstHlc.raw, s.lastHlc.raw));
}

Operation adminOperation(SyncCore& core, std::string method, std::string what, std::string name, std::string summary,
                         GatewayWork work) {
  Operation operation = syncOperation(std::move(method), "/v1/admin/" + std::move(what) + "/{gateway}", std::move(name),
                                      std::move(summary));
  operation.role = Role::admin;
  operation.tag = "sync admin";
  operation.blocking = [&core, work](Call&& call) {
    return SyncCore::answered([&] { return work(core.gatewayFor(call), call); });
  };
  return operation;
}

}  // namespace

void addSyncAdmin(Api& api, SyncCore& core) {
  const Answer saved{200, "Taken", "application/json", R"({"type":"object","properties":{"saved":{"const":true}}})"};
  const Answer malformed{400, "Malformed", "application/problem+json",
                         R"({"$ref":"#/components/schemas/SyncFailure"})"};
  Operation rules = adminOperation(core, "POST", "sync-rules", "syncSaveRules",
                                   "Replaces the sync rules; clients whose view changes must resync", saveRules);
  rules.body = R"({"$ref":"#/components/schemas/SyncRules"})";
  rules.answers.insert(rules.answers.end(), {saved, malformed});
  api.add(std::move(rules));

  Operation shown = adminOperation(core, "GET", "sync-rules", "syncShowRules", "Gives the sync rules", showRules);
  shown.answers.push_back({200, "The rules", "application/json", R"({"$ref":"#/components/schemas/SyncRules"})"});
  api.add(std::move(shown));

  Operation schema = adminOperation(core, "POST", "schema", "syncSaveSchema",
                                    "Judges pushes by the schema of a table from now on", saveSchema);
  schema.body = R"({"$ref":"#/components/schemas/SyncTable"})";
  schema.answers.insert(schema.answers.end(), {saved, malformed});
  api.add(std::move(schema));

  Operation flush = adminOperation(core, "POST", "flush", "syncFlush",
                                   "Trims the log to its retention, and writes out what the host keeps", flushGateway);
  flush.answers.push_back(
      {200, "Done", "application/json", R"({"type":"object","properties":{"flushed":{"const":true}}})"});
  api.add(std::move(flush));

  Operation metrics =
      adminOperation(core, "GET", "metrics", "syncMetrics", "Counters and sizes of the gateway", gatewayMetrics);
  metrics.answers.push_back({200, "Numbers; logSize, indexSize and byteSize as LakeSync's", "application/json",
                             R"({"type":"object","additionalProperties":{"type":["integer","string"]}})"});
  api.add(std::move(metrics));
}

}  // namespace tidegate::server::detail
