// What the client may see, said twice: as sync rules, and as SQL. The check compares one with the other.
#pragma once

#include <vector>

#include "check.h"
#include "shop.h"
#include "tidegate/gateway/messages.h"

namespace quickstart {

/// The users of the client's region that are not deleted, and the graver part of its region's audit log.
inline constexpr const char* kRules = R"({"version": 1, "buckets": [
  {"name": "users of my region", "tables": ["users"], "filters": [
    {"column": "region", "op": "eq", "value": "jwt:region"},
    {"column": "deleted", "op": "eq", "value": 0}]},
  {"name": "what matters in my region", "tables": ["audit_log"], "filters": [
    {"column": "region", "op": "eq", "value": "jwt:region"},
    {"column": "severity", "op": "gte", "value": 2}]}]})";

/// What the client has proved about itself.
inline tidegate::Claims claims() { return {{"region", {"eu"}}}; }

/// The same view in SQL.
inline std::vector<TableCheck> checksOf(const Shop& shop) {
  const std::string users = "SELECT id, name, region, points, deleted, updated_at FROM ";
  const std::string entries = "SELECT id, user_id, region, action, severity FROM ";
  return {{"users", users + shop.users() + " WHERE region = 'eu' AND deleted = 0", users + "users"},
          {"audit_log", entries + shop.auditLog() + " WHERE region = 'eu' AND severity >= 2", entries + "audit_log"}};
}

}  // namespace quickstart
