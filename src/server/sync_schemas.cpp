#include "server/detail/sync_core.h"

namespace tidegate::server::detail {
namespace {

constexpr const char* kHlcSchema = R"({"type":"string","pattern":"^[0-9]{1,20}$",
  "description":"48 bits of Unix milliseconds and 16 of counter, in decimal"})";
constexpr const char* kDeltaSchema = R"({"type":"object",
  "required":["op","table","rowId","clientId","columns","hlc"],
  "properties":{
    "op":{"enum":["INSERT","UPDATE","DELETE"]},
    "table":{"type":"string"},"rowId":{"type":"string"},"clientId":{"type":"string"},
    "columns":{"type":"array","items":{"type":"object","required":["column","value"],
      "properties":{"column":{"type":"string"},"value":{}}}},
    "hlc":{"$ref":"#/components/schemas/Hlc"},
    "deltaId":{"type":"string","pattern":"^[0-9a-f]{64}$"}}})";
constexpr const char* kPushSchema = R"({"type":"object","required":["clientId","deltas"],
  "properties":{"clientId":{"type":"string"},
    "deltas":{"type":"array","maxItems":10000,"items":{"$ref":"#/components/schemas/RowDelta"}},
    "lastSeenHlc":{"$ref":"#/components/schemas/Hlc"}}})";
constexpr const char* kPushedSchema = R"({"type":"object","required":["serverHlc","accepted"],
  "properties":{"serverHlc":{"$ref":"#/components/schemas/Hlc"},"accepted":{"type":"integer"},
    "logHlc":{"$ref":"#/components/schemas/Hlc"},"applied":{"type":"integer"},
    "duplicates":{"type":"integer"},"noEffect":{"type":"integer"}}})";
constexpr const char* kPageSchema = R"({"type":"object","required":["deltas","serverHlc","hasMore"],
  "properties":{"deltas":{"type":"array","items":{"$ref":"#/components/schemas/RowDelta"}},
    "serverHlc":{"$ref":"#/components/schemas/Hlc"},"hasMore":{"type":"boolean"},
    "mustResync":{"type":"boolean"},"reason":{"type":"string"}}})";
constexpr const char* kFailureSchema = R"({"type":"object","required":["error","code","status"],
  "properties":{"error":{"type":"string"},"status":{"type":"integer"},"title":{"type":"string"},
    "detail":{"type":"string"},"type":{"type":"string"},
    "code":{"enum":["VALIDATION_ERROR","SCHEMA_ERROR","BACKPRESSURE_ERROR","CLOCK_DRIFT","FORBIDDEN","NOT_FOUND",
      "RATE_LIMITED","ADAPTER_ERROR","FLUSH_ERROR","INTERNAL_ERROR"]},
    "refused":{"type":"array","items":{"type":"object","properties":{"index":{"type":"integer"},
      "verdict":{"type":"string"},"message":{"type":"string"}}}}}})";
constexpr const char* kRulesSchema = R"({"type":"object","required":["buckets"],
  "properties":{"version":{"type":"integer"},"buckets":{"type":"array","items":{"type":"object",
    "required":["name","tables"],"properties":{"name":{"type":"string"},
      "tables":{"type":"array","items":{"type":"string"}},
      "filters":{"type":"array","items":{"type":"object","required":["column","op","value"],
        "properties":{"column":{"type":"string"},"op":{"enum":["eq","neq","in","gt","gte","lt","lte"]},
          "value":{}}}}}}}}})";
constexpr const char* kTableSchema = R"({"type":"object","required":["table","columns"],
  "properties":{"table":{"type":"string"},"sourceTable":{"type":"string"},
    "columns":{"type":"array","items":{"type":"object","required":["name","type"],"properties":{
      "name":{"type":"string"},"type":{"enum":["string","number","boolean","json","null"]}}}},
    "primaryKey":{"type":"array","items":{"type":"string"}}}})";

}  // namespace

void addSyncSchemas(Api& api) {
  api.addSchema("Hlc", kHlcSchema);
  api.addSchema("RowDelta", kDeltaSchema);
  api.addSchema("SyncPush", kPushSchema);
  api.addSchema("SyncPushed", kPushedSchema);
  api.addSchema("SyncPage", kPageSchema);
  api.addSchema("SyncFailure", kFailureSchema);
  api.addSchema("SyncRules", kRulesSchema);
  api.addSchema("SyncTable", kTableSchema);
}

}  // namespace tidegate::server::detail
