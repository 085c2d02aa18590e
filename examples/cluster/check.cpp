#include "check.h"

#include <fmt/format.h>

#include <optional>

#include "tidegate/core/json.h"

using namespace tidegate;

Truth truthOf(const QueryFn& postgres, const Clients& clients) {
  Truth truth;
  ResultSet orders = postgres({.sql = "SELECT id, region, amount FROM orders"});
  for (std::vector<Value> row; orders.next(row); ++truth.orderCount) {
    truth.orders[row[1].as<std::string>()][toJson(row[0])] = {
        {"id", toJson(row[0])}, {"region", toJson(row[1])}, {"amount", toJson(row[2])}};
  }
  for (const auto& client : clients) truth.notes.insert(client->acknowledged().begin(), client->acknowledged().end());
  return truth;
}

std::string faultOf(const Client& client, const Truth& truth) {
  static const Replica::Rows kNone;
  const auto own = truth.orders.find(client.region());
  const Replica::Rows& orders = own == truth.orders.end() ? kNone : own->second;
  const Replica::Rows& held = client.replica().rows("orders");
  for (const auto& [id, columns] : orders) {
    const auto found = held.find(id);
    if (found == held.end()) return "order " + id + " is missing";
    if (found->second != columns) return "order " + id + " differs";
  }
  if (held.size() != orders.size()) return fmt::format("{} orders, not {}", held.size(), orders.size());
  for (const std::string& note : truth.notes) {
    if (!client.replica().rows("notes").contains(note)) return "note " + note + " was acknowledged and is missing";
  }
  return client.replica().repeated() == 0 ? "" : fmt::format("{} rows were told twice", client.replica().repeated());
}

std::string gatewaysDiffer(const std::vector<std::string>& gateways, const Truth& truth) {
  for (const auto& [region, orders] : truth.orders) {
    std::optional<Replica> first;
    for (const std::string& gateway : gateways) {
      Client reader({gateway}, region, "reader-" + region, 0);
      if (!reader.pull({})) return reader.lastFailure();
      if (const std::string fault = faultOf(reader, truth); !fault.empty()) return gateway + ": " + fault;
      if (!first) first = reader.replica();
      if (reader.replica().tables() != first->tables()) return gateway + " differs from " + gateways.front();
    }
  }
  return "";
}
