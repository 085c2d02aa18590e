/// LakeSync's binary messages: protobuf, with a column's value as JSON in bytes.
///
///   SyncPush      1 client_id, 2 deltas, 3 last_seen_hlc (fixed64)
///   SyncPull      1 client_id, 2 since_hlc (fixed64), 3 max_deltas
///   SyncResponse  1 deltas, 2 server_hlc (fixed64), 3 has_more; ours: 4 must_resync, 5 reason
///   RowDelta      1 op (1 insert, 2 update, 3 delete), 2 table, 3 row_id, 4 columns, 5 hlc (fixed64), 6 client_id,
///                 7 delta_id
///   ColumnDelta   1 column, 2 value
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "tidegate/gateway/messages.h"

namespace tidegate::server::detail {

/// First octet of a binary WebSocket message. Answers to a push or a pull carry none.
enum class SyncTag : unsigned char { push = 1, pull = 2, broadcast = 3 };

/// @throws Error{parseError} naming the message.
SyncPush pushFromProto(std::string_view octets);
SyncPull pullFromProto(std::string_view octets);
PullResult pullResultFromProto(std::string_view octets);
void appendProto(const SyncPush& push, std::string& out);
void appendProto(const SyncPull& pull, std::string& out);
void appendProto(const PullResult& result, std::string& out);
/// One delta as a member of a SyncResponse, which may be written piece by piece. @param scratch for reuse.
void appendProtoDelta(const RowDelta& delta, std::string& out, std::string& scratch);

}  // namespace tidegate::server::detail
