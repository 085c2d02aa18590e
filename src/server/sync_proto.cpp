#include "server/detail/sync_proto.h"

#include "server/detail/proto_wire.h"
#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::server::detail {
namespace {

ColumnValue protoColumn(std::string_view octets) {
  ColumnValue column;
  for (ProtoReader fields(octets, "ColumnDelta"); fields.next();) {
    if (fields.field() == 1) column.column = fields.text();
    if (fields.field() == 2) column.value = valueFromJson(fields.bytes());
  }
  return column;
}

DeltaOp protoOp(const ProtoReader& fields) {
  const std::uint64_t op = fields.varint();
  if (op < 1 || op > 3) fields.fail("holds no op of 1 to 3");
  return static_cast<DeltaOp>(op - 1);
}

DeltaId protoId(const ProtoReader& fields) {
  const std::string_view text = fields.text();
  if (text.empty()) return {};
  const auto id = DeltaId::parse(text);
  if (!id) fields.fail("holds a delta_id that is not 64 lower-case hex digits");
  return *id;
}

RowDelta protoDelta(std::string_view octets) {
  RowDelta delta;
  bool hasOp = false;
  ProtoReader fields(octets, "RowDelta");
  while (fields.next()) {
    switch (fields.field()) {
      case 1:
        delta.op = protoOp(fields);
        hasOp = true;
        break;
      case 2:
        delta.table = fields.text();
        break;
      case 3:
        delta.rowId = fields.text();
        break;
      case 4:
        delta.columns.push_back(protoColumn(fields.bytes()));
        break;
      case 5:
        delta.hlc = Hlc{fields.fixed64()};
        break;
      case 6:
        delta.clientId = fields.text();
        break;
      case 7:
        delta.deltaId = protoId(fields);
        break;
      default:
        break;
    }
  }
  if (!hasOp) fields.fail("has no op");
  return delta;
}

void writeProtoDelta(const RowDelta& delta, std::uint32_t field, std::string& out, std::string& scratch) {
  ProtoWriter write(out);
  const std::size_t began = write.begin(field);
  write.varint(1, static_cast<std::uint64_t>(delta.op) + 1);
  write.bytes(2, delta.table);
  write.bytes(3, delta.rowId);
  for (const ColumnValue& column : delta.columns) {
    const std::size_t inner = write.begin(4);
    write.bytes(1, column.column);
    scratch.clear();
    appendJson(column.value, scratch);
    write.bytes(2, scratch);
    write.end(inner);
  }
  write.fixed64(5, delta.hlc.raw);
  write.bytes(6, delta.clientId);
  if (!delta.deltaId.isNull()) write.bytes(7, delta.deltaId.hex());
  write.end(began);
}

void writeProtoDeltas(const std::vector<RowDelta>& deltas, std::uint32_t field, std::string& out) {
  std::string scratch;
  for (const RowDelta& delta : deltas) writeProtoDelta(delta, field, out, scratch);
}

}  // namespace

void appendProtoDelta(const RowDelta& delta, std::string& out, std::string& scratch) {
  writeProtoDelta(delta, 1, out, scratch);
}

SyncPush pushFromProto(std::string_view octets) {
  SyncPush push;
  for (ProtoReader fields(octets, "SyncPush"); fields.next();) {
    if (fields.field() == 1) push.clientId = fields.text();
    if (fields.field() == 2) push.deltas.push_back(protoDelta(fields.bytes()));
    if (fields.field() == 3) push.lastSeenHlc = Hlc{fields.fixed64()};
  }
  return push;
}

SyncPull pullFromProto(std::string_view octets) {
  SyncPull pull;
  for (ProtoReader fields(octets, "SyncPull"); fields.next();) {
    if (fields.field() == 1) pull.clientId = fields.text();
    if (fields.field() == 2) pull.sinceHlc = Hlc{fields.fixed64()};
    if (fields.field() == 3) pull.maxDeltas = static_cast<std::size_t>(fields.varint());
  }
  return pull;
}

PullResult pullResultFromProto(std::string_view octets) {
  PullResult result;
  for (ProtoReader fields(octets, "SyncResponse"); fields.next();) {
    if (fields.field() == 1) result.deltas.push_back(protoDelta(fields.bytes()));
    if (fields.field() == 2) result.serverHlc = Hlc{fields.fixed64()};
    if (fields.field() == 3) result.hasMore = fields.varint() != 0;
    if (fields.field() == 4) result.mustResync = fields.varint() != 0;
    if (fields.field() == 5) result.reason = fields.text();
  }
  return result;
}

void appendProto(const SyncPush& push, std::string& out) {
  ProtoWriter write(out);
  write.bytes(1, push.clientId);
  writeProtoDeltas(push.deltas, 2, out);
  write.fixed64(3, push.lastSeenHlc.raw);
}

void appendProto(const SyncPull& pull, std::string& out) {
  ProtoWriter write(out);
  write.bytes(1, pull.clientId);
  write.fixed64(2, pull.sinceHlc.raw);
  write.varint(3, pull.maxDeltas);
}

void appendProto(const PullResult& result, std::string& out) {
  ProtoWriter write(out);
  writeProtoDeltas(result.deltas, 1, out);
  write.fixed64(2, result.serverHlc.raw);
  if (result.hasMore) write.varint(3, 1);
  if (!result.mustResync) return;
  write.varint(4, 1);
  write.bytes(5, result.reason);
}

}  // namespace tidegate::server::detail
