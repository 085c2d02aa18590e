/// Rules from JSON: parsed, compiled and judged. Input: the rules, then optionally NUL and packed values to judge.
#include <algorithm>
#include <string>
#include <vector>

#include "core/detail/packed.h"
#include "fuzz/check.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate::fuzz {
namespace {

/// One value of every kind, and what the input brings.
std::vector<Value> valuesToJudge(std::string_view packed) {
  std::vector<Value> values{Null{},
                            true,
                            42,
                            UINT64_MAX,
                            0.1,
                            Decimal{"1.50"},
                            "2024-05-01",
                            "u7",
                            Bytes{"ab"},
                            Date{19844},
                            Time{36'000'000'000},
                            Timestamp::utc(1'714'521'600'000'000),
                            Uuid{},
                            Json{R"({"a":[1]})"}};
  detail::PackedReader reader(packed);
  takes(ErrorCode::storeCorrupt, [&] {
    while (!reader.done() && values.size() < 30) values.push_back(reader.value());
  });
  return values;
}

/// Judges one row whose every column holds `value`, by name and by position.
void judge(const SyncRules& rules, const ClientView& view, std::string_view table, const Value& value) {
  const bool byName = view.matches(table, [&](std::string_view) { return &value; });
  const std::vector<const Value*> row(rules.columnsOf(table).size(), &value);
  FUZZ_CHECK(view.matchesRuleColumns(table, row.data(), row.size()) == byName);
  FUZZ_CHECK(!byName || !view.excludesTable(table));
  FUZZ_CHECK(byName || !view.seesEverything());
}

void judgeAll(const SyncRules& rules, const Claims& claims, const std::vector<Value>& values) {
  const ClientView view = rules.compile(claims);
  std::vector<std::string> tables{"elsewhere"};
  for (const RuleBucket& bucket : rules.buckets()) {
    if (tables.size() < 4) tables.insert(tables.end(), bucket.tables.begin(), bucket.tables.end());
  }
  tables.resize(std::min<std::size_t>(tables.size(), 4));
  for (const std::string& table : tables) {
    for (const Value& value : values) judge(rules, view, table, value);
  }
}

}  // namespace
}  // namespace tidegate::fuzz

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tidegate;
  const std::string_view input = fuzz::textOf(data, size);
  const std::string_view json = input.substr(0, input.find('\0'));
  const std::string_view packed = json.size() < input.size() ? input.substr(json.size() + 1) : std::string_view();
  fuzz::takes(ErrorCode::invalidConfig, [&] {
    const SyncRules rules = SyncRules::parse(json);
    bool taken = fuzz::takes(ErrorCode::invalidConfig, [&] {
      const SyncRules again = SyncRules::parse(rules.toJson());
      FUZZ_CHECK(again.toJson() == rules.toJson() && again.fingerprint() == rules.fingerprint());
    });
    FUZZ_CHECK(taken);
    const std::vector<Value> values = fuzz::valuesToJudge(packed);
    fuzz::judgeAll(rules, {}, values);
    fuzz::judgeAll(rules, {{"sub", {"u7"}}, {"orgs", {"o1", "42", "2024-05-01"}}, {"none", {}}}, values);
  });
  return 0;
}
