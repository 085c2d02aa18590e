#include "tidegate/gateway/sync_rules.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "gateway/detail/rules_check.h"
#include "gateway/detail/rules_data.h"
#include "tidegate/core/delta.h"

namespace tidegate {
namespace {

/// Lays out the buckets that apply to one table.
detail::TableRules tableRules(const std::vector<RuleBucket>& buckets, const std::vector<std::size_t>& applying) {
  detail::TableRules rules;
  std::set<std::string_view> columns;
  for (const std::size_t b : applying) {
    for (const RuleFilter& filter : buckets[b].filters) columns.insert(filter.column);
  }
  rules.columns.assign(columns.begin(), columns.end());
  for (const std::size_t b : applying) {
    detail::BucketOnTable onTable{b, {}};
    for (const RuleFilter& filter : buckets[b].filters) {
      const auto at = std::lower_bound(rules.columns.begin(), rules.columns.end(), filter.column);
      onTable.positions.push_back(static_cast<std::size_t>(at - rules.columns.begin()));
    }
    rules.buckets.push_back(std::move(onTable));
  }
  return rules;
}

/// Which buckets apply to which table; "" stands for tables that no bucket names.
std::map<std::string_view, std::vector<std::size_t>> bucketsByTable(const std::vector<RuleBucket>& buckets) {
  std::map<std::string_view, std::vector<std::size_t>> byTable{{"", {}}};
  for (const RuleBucket& bucket : buckets) {
    for (const std::string& table : bucket.tables) byTable[table];
  }
  std::size_t pairs = 0;
  const auto add = [&](std::vector<std::size_t>& list, std::size_t bucket) {
    if (!list.empty() && list.back() == bucket) return;  // a table named twice
    list.push_back(bucket);
    if (++pairs > detail::kMaxTableBuckets) {
      detail::refuseRule("buckets", "too many pairs of table and bucket; name fewer tables, or split the rules");
    }
  };
  for (std::size_t b = 0; b < buckets.size(); ++b) {
    if (buckets[b].tables.empty()) {
      for (auto& [table, list] : byTable) add(list, b);
    }
    for (const std::string& table : buckets[b].tables) add(byTable[table], b);
  }
  return byTable;
}

}  // namespace

std::shared_ptr<const SyncRules::Data> SyncRules::Data::make(int version, std::vector<RuleBucket> buckets) {
  detail::normaliseRules(version, buckets);
  auto data = std::make_shared<Data>();
  data->version = version;
  data->buckets = std::move(buckets);
  for (const auto& [table, applying] : bucketsByTable(data->buckets)) {
    if (!table.empty()) data->tableIndex.emplace(table, data->tables.size());
    data->tables.push_back(tableRules(data->buckets, applying));
  }
  data->json = detail::rulesJson(version, data->buckets);
  data->fingerprint = DeltaId{sha256(data->json)}.hex();
  return data;
}

SyncRules::SyncRules() {
  static const std::shared_ptr<const Data> kNoBuckets = Data::make(1, {});
  data_ = kNoBuckets;
}

SyncRules SyncRules::of(int version, std::vector<RuleBucket> buckets) {
  SyncRules rules;
  rules.data_ = Data::make(version, std::move(buckets));
  return rules;
}

ClientView SyncRules::compile(const Claims& claims) const { return Data::compile(data_, claims); }

int SyncRules::version() const noexcept { return data_->version; }
const std::vector<RuleBucket>& SyncRules::buckets() const noexcept { return data_->buckets; }
const std::vector<std::string>& SyncRules::columnsOf(std::string_view table) const {
  return data_->tables[data_->indexOf(table)].columns;
}
const std::string& SyncRules::fingerprint() const noexcept { return data_->fingerprint; }
std::string SyncRules::toJson() const { return data_->json; }

}  // namespace tidegate
