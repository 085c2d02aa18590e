#include "chaos/cluster/audit.h"

#include <fmt/format.h>

#include <fstream>

#include "tidegate/core/error.h"
#include "tidegate/gateway/messages.h"

namespace tidegate::chaos {
namespace {

using namespace std::chrono_literals;

/// The whole number that a column's JSON is.
std::int64_t number(const Replica::Columns& columns, const std::string& name) { return std::stoll(columns.at(name)); }

}  // namespace

Audit::Audit(std::vector<std::string> gateways, std::string folder)
    : gateways_(std::move(gateways)),
      folder_(std::move(folder)),
      http_({.headers = {{"authorization", "Bearer north,south:audit"}}, .connectTimeout = 1s}) {}

void Audit::rewind() {
  since_ = "0";
  stamp_ = 0;
  told_.clear();
  replica_.clear();
}

bool Audit::ask(std::size_t gateway, std::string& body, std::string& failure) {
  try {
    const std::string url =
        fmt::format("{}/v1/sync/shop/pull?since={}&clientId=audit&limit=1000", gateways_[gateway], since_);
    const http::Response answer = http_.perform({.url = url, .timeout = 10s});
    body = answer.body;
    if (answer.status == 200) return true;
    failure = fmt::format("gateway {} answered {}: {}", gateway, answer.status, body);
  } catch (const Error& error) {
    failure = fmt::format("gateway {}: {}", gateway, error.what());
  }
  return false;
}

std::string Audit::readOn() {
  for (bool more = true; more;) {
    std::vector<std::string> pages(gateways_.size());
    std::string failure;
    for (std::size_t i = 0; i < gateways_.size(); ++i) {
      if (!ask(i, pages[i], failure)) return failure;
    }
    for (std::size_t i = 1; i < pages.size(); ++i) {
      if (pages[i] == pages[0]) continue;
      keep(pages);
      return fmt::format("gateway {} differs from gateway 0 after {}: see {}/page*.json", i, since_, folder_);
    }
    if (const std::string wrong = learn(pages[0], more); !wrong.empty()) return "never: " + wrong;
  }
  return "";
}

void Audit::keep(const std::vector<std::string>& pages) const {
  for (std::size_t i = 0; i < pages.size(); ++i) std::ofstream(fmt::format("{}/page{}.json", folder_, i)) << pages[i];
}

std::string Audit::learn(const std::string& page, bool& more) {
  const PullResult read = pullResultFromJson(page);
  if (read.mustResync) return "the log does not go on for who read all of it: " + read.reason;
  if (!read.deltas.empty() && read.serverHlc.raw <= stamp_) {
    return fmt::format("stamp {} comes after stamp {}", read.serverHlc.raw, stamp_);
  }
  for (const RowDelta& delta : read.deltas) {
    if (std::string wrong = learnOne(delta); !wrong.empty()) return wrong;
  }
  stamp_ = read.serverHlc.raw;
  since_ = read.serverHlc.text();
  more = read.hasMore;
  return "";
}

std::string Audit::learnOne(const RowDelta& delta) {
  const std::string what = fmt::format("{} of {} {}", toString(delta.op), delta.table, delta.rowId);
  if (!told_.insert(delta.deltaId.hex() + std::string(toString(delta.op))).second) return what + " is in the log twice";
  if (delta.table == "orders") {
    if (std::string wrong = learnOrder(delta); !wrong.empty()) return what + ": " + wrong;
  } else if (delta.op != DeltaOp::insert || replica_.rows("notes").contains(delta.rowId)) {
    return what + ", which was pushed once";
  }
  replica_.apply({delta});
  return "";
}

/// Each change of an order raises its amount by one: so one that is missing or doubled shows by itself.
std::string Audit::learnOrder(const RowDelta& delta) {
  const auto& orders = replica_.rows("orders");
  const auto at = orders.find(delta.rowId);
  if ((delta.op == DeltaOp::insert) != (at == orders.end()))
    return at == orders.end() ? "it is not there" : "it is there";
  if (delta.op != DeltaOp::update) return "";
  Replica changed;
  changed.apply({delta});
  const auto& columns = changed.rows("orders").begin()->second;
  if (!columns.contains("amount")) return "its amount did not change";
  const std::int64_t from = number(at->second, "amount"), to = number(columns, "amount");
  return to == from + 1 ? "" : fmt::format("its amount goes from {} to {}", from, to);
}

std::string Audit::compare(const Truth& truth) const {
  Replica::Rows orders;
  for (const auto& [region, rows] : truth.orders) orders.insert(rows.begin(), rows.end());
  if (replica_.rows("orders") != orders) return "the gateways' orders are not those of PostgreSQL";
  for (const std::string& note : truth.notes) {
    if (!replica_.rows("notes").contains(note))
      return "never: note " + note + " was acknowledged and is not in the log";
  }
  return "";
}

}  // namespace tidegate::chaos
