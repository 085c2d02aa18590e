#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "core/detail/packed.h"
#include "gateway/detail/fan_out.h"
#include "gateway/detail/rule_keys.h"
#include "gateway/detail/rule_literals.h"
#include "gateway/detail/rules_check.h"
#include "gateway/detail/rules_data.h"
#include "tidegate/core/delta.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate {
namespace {

/// A bucket's filters with the client's claims filled in.
struct CompiledBucket {
  bool dead = false;  ///< a claim is missing: it takes no row
  std::vector<detail::RuleLiterals> filters;
  std::optional<std::size_t> indexed;  ///< the equality by which its rows are looked up
};

/// What is left of a table's rules for one client.
struct CompiledTable {
  bool always = false;                                ///< a bucket without filters takes every row
  std::vector<const detail::BucketOnTable*> buckets;  ///< those that can take a row
};

using ClaimSets = std::map<std::string, std::vector<std::string>>;

/// The claims that rules name, each sorted and without duplicates; a missing claim has no values.
ClaimSets claimsNamed(const std::vector<RuleBucket>& buckets, const Claims& claims) {
  ClaimSets named;
  for (const RuleBucket& bucket : buckets) {
    for (const RuleFilter& filter : bucket.filters) {
      if (filter.claim.empty() || named.count(filter.claim) > 0) continue;
      std::set<std::string> values;
      if (const auto at = claims.find(filter.claim); at != claims.end())
        values.insert(at->second.begin(), at->second.end());
      named[filter.claim].assign(values.begin(), values.end());
    }
  }
  return named;
}

std::vector<std::string> literalTexts(const std::vector<Value>& literals) {
  std::set<std::string> texts;
  for (const Value& literal : literals) texts.insert(detail::literalText(literal));
  return {texts.begin(), texts.end()};
}

CompiledBucket compileBucket(const RuleBucket& bucket, const ClaimSets& claims) {
  CompiledBucket compiled;
  for (const RuleFilter& filter : bucket.filters) {
    const std::vector<std::string> values =
        filter.claim.empty() ? literalTexts(filter.literals) : claims.at(filter.claim);
    if (values.empty() || (values.size() > 1 && !detail::takesSeveral(filter.op)))
      return {.dead = true, .filters = {}, .indexed = {}};
    // A claim tells clients apart; a literal is the same for all of them.
    const bool equality = filter.op == RuleOp::eq || filter.op == RuleOp::in;
    const std::size_t at = compiled.filters.size();
    const bool better = !compiled.indexed || (!filter.claim.empty() && bucket.filters[*compiled.indexed].claim.empty());
    if (equality && better) compiled.indexed = at;
    compiled.filters.emplace_back(filter.op, values);
  }
  return compiled;
}

CompiledTable compileTable(const detail::TableRules& rules, const std::vector<CompiledBucket>& buckets) {
  CompiledTable table;
  for (const detail::BucketOnTable& onTable : rules.buckets) {
    if (buckets[onTable.bucket].dead) continue;
    if (onTable.positions.empty()) table.always = true;
    table.buckets.push_back(&onTable);
  }
  return table;
}

std::string fingerprintOf(const std::string& rulesJson, const ClaimSets& claims) {
  std::string canonical;
  detail::putText(rulesJson, canonical);
  for (const auto& [name, values] : claims) {
    detail::putText(name, canonical);
    detail::putVarint(values.size(), canonical);
    for (const std::string& value : values) detail::putText(value, canonical);
  }
  return DeltaId{sha256(canonical)}.hex();
}

}  // namespace

struct ClientView::Compiled {
  std::shared_ptr<const void> owner;  ///< keeps `rules` alive
  const std::vector<detail::TableRules>* rules = nullptr;
  const detail::TableIndex* tableIndex = nullptr;
  std::vector<CompiledBucket> buckets;
  std::vector<CompiledTable> tables;  ///< beside `rules`
  bool everything = false;
  std::string fingerprint;

  std::size_t indexOf(std::string_view table) const {
    const auto at = tableIndex->find(table);
    return at == tableIndex->end() ? 0 : at->second;
  }

  /// @param valueAt gives the value of the table's rule column at a position, or nullptr.
  template <class ValueAt>
  bool takes(const CompiledTable& table, const ValueAt& valueAt) const {
    if (table.always) return true;
    return std::any_of(table.buckets.begin(), table.buckets.end(), [&](const detail::BucketOnTable* onTable) {
      const CompiledBucket& bucket = buckets[onTable->bucket];
      for (std::size_t i = 0; i < bucket.filters.size(); ++i) {
        const Value* value = valueAt(onTable->positions[i]);
        if (value == nullptr || !bucket.filters[i].hold(*value)) return false;
      }
      return true;
    });
  }
};

namespace detail {

std::size_t ruleTableOf(const ClientView& view, std::string_view table) { return view.compiled_->indexOf(table); }

ViewTerms termsOf(const ClientView& view) {
  const ClientView::Compiled& compiled = *view.compiled_;
  ViewTerms all{.everything = compiled.everything, .whole = {}, .terms = {}};
  std::vector<std::string> keys;
  for (std::size_t t = 0; t < compiled.tables.size() && !all.everything; ++t) {
    const CompiledTable& table = compiled.tables[t];
    const auto unindexed = [&](const BucketOnTable* b) { return !compiled.buckets[b->bucket].indexed; };
    if (table.always || std::any_of(table.buckets.begin(), table.buckets.end(), unindexed)) {
      all.whole.push_back(t);
      continue;
    }
    for (const BucketOnTable* onTable : table.buckets) {
      const CompiledBucket& bucket = compiled.buckets[onTable->bucket];
      keys.clear();
      bucket.filters[*bucket.indexed].appendKeys(keys);
      for (std::string& key : keys) all.terms.push_back({t, onTable->positions[*bucket.indexed], std::move(key)});
    }
    all.everything = all.terms.size() > FanOut::kMostTerms;
  }
  return all;
}

}  // namespace detail

ClientView SyncRules::Data::compile(std::shared_ptr<const Data> data, const Claims& claims) {
  auto view = std::make_shared<ClientView::Compiled>();
  const ClaimSets named = claimsNamed(data->buckets, claims);
  for (const RuleBucket& bucket : data->buckets) view->buckets.push_back(compileBucket(bucket, named));
  for (const detail::TableRules& rules : data->tables) view->tables.push_back(compileTable(rules, view->buckets));
  view->rules = &data->tables;
  view->tableIndex = &data->tableIndex;
  view->everything = data->buckets.empty() || view->tables.front().always;
  view->fingerprint = fingerprintOf(data->buckets.empty() ? std::string() : data->json, named);
  view->owner = std::move(data);
  return ClientView(std::move(view));
}

ClientView::ClientView() {
  static const ClientView kEverything = SyncRules().compile({});
  compiled_ = kEverything.compiled_;
}

ClientView::ClientView(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

bool ClientView::matches(std::string_view table, const Lookup& column) const {
  if (compiled_->everything) return true;
  const std::size_t index = compiled_->indexOf(table);
  const std::vector<std::string>& columns = (*compiled_->rules)[index].columns;
  return compiled_->takes(compiled_->tables[index], [&](std::size_t position) { return column(columns[position]); });
}

bool ClientView::matchesRuleColumns(std::string_view table, const Value* const* values, std::size_t count) const {
  if (compiled_->everything) return true;
  return compiled_->takes(compiled_->tables[compiled_->indexOf(table)], [&](std::size_t position) -> const Value* {
    return position < count ? values[position] : nullptr;
  });
}

bool ClientView::excludesTable(std::string_view table) const {
  return !compiled_->everything && compiled_->tables[compiled_->indexOf(table)].buckets.empty();
}

bool ClientView::seesEverything() const noexcept { return compiled_->everything; }

const std::string& ClientView::fingerprint() const noexcept { return compiled_->fingerprint; }

}  // namespace tidegate
