#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gateway/detail/rule_keys.h"
#include "gateway/rules_model.h"
#include "tidegate/gateway/sync_rules.h"

namespace tidegate {
namespace {

using namespace rules_model;

/// Makes random rules, claims and rows from small universes, so that equal values and ties are common.
class RulesGenerator {
 public:
  explicit RulesGenerator(std::uint64_t seed) : engine_(seed) {}

  std::size_t pick(std::size_t n) { return static_cast<std::size_t>(engine_() % n); }
  template <class T>
  const T& one(const std::vector<T>& all) {
    return all[pick(all.size())];
  }

  std::vector<Bucket> buckets() {
    std::vector<Bucket> all(pick(5));
    for (Bucket& bucket : all) {
      for (std::size_t n = pick(3); n > 0; --n) bucket.tables.push_back(table());
      for (std::size_t n = pick(8) == 0 ? 0 : 1 + pick(3); n > 0; --n) bucket.filters.push_back(filter());
    }
    return all;
  }

  std::string table() { return one<std::string>({"t0", "t1", "t2", "t3"}); }

  ModelClaims claims() {
    ModelClaims all;
    for (const char* name : {"k0", "k1", "k2"}) {
      if (pick(4) == 0) continue;
      for (std::size_t n = pick(4); n > 0; --n) all[name].push_back(literal());
      all[name];
    }
    return all;
  }

  ModelRow row() {
    ModelRow cells;
    for (const char* column : {"c0", "c1", "c2"}) {
      if (pick(10) != 0) cells[column] = cell();
    }
    return cells;
  }

 private:
  Filter filter() {
    Filter f{one<std::string>({"c0", "c1", "c2"}), static_cast<RuleOp>(pick(7)), {}, {}};
    if (pick(3) == 0) {
      f.claim = one<std::string>({"k0", "k1", "k2"});
      return f;
    }
    const bool several = f.op == RuleOp::eq || f.op == RuleOp::neq || f.op == RuleOp::in;
    const std::size_t most = pick(10) == 0 ? 40 : 3;
    for (std::size_t n = several ? 1 + pick(most) : 1; n > 0; --n) f.literals.push_back(literal());
    return f;
  }

  Meaning literal() {
    switch (pick(7)) {
      case 0:
        return moment(pick(2) == 0);
      case 1:
        return timeOfDay();
      case 2:
        return uuid();
      case 3:
        return word();
      default:
        return number();
    }
  }

  Meaning number() {
    static const std::vector<Wide> kWhole{0,         1,         2, 9, 10, 11, 9007199254740992, 9007199254740993,
                                          INT64_MAX, UINT64_MAX};
    const Wide whole = one(kWhole);
    const int fraction = pick(3) == 0 ? one<int>({500, 100, 125}) : 0;
    const bool negative = pick(3) == 0 && whole + fraction > 0 && whole <= INT64_MAX;
    Meaning m;
    m.text = (negative ? "-" : "") + std::to_string(static_cast<std::uint64_t>(whole));
    m.jsonNumber = pick(2) == 0 && (fraction == 0 || whole < 1000);
    if (fraction > 0)
      m.text += "." + (fraction == 500 ? "5" : std::to_string(fraction).substr(0, fraction == 100 ? 1 : 3));
    if (!m.jsonNumber && pick(3) == 0) m.text += fraction > 0 ? "0" : ".00";
    m.thousandths = (whole * 1000 + fraction) * (negative ? -1 : 1);
    return m;
  }

  static std::string isoDay(int days) {
    const auto length = [](int year, int month) {
      const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
      return month == 2 ? (leap ? 29 : 28) : (month == 4 || month == 6 || month == 9 || month == 11) ? 30 : 31;
    };
    int year = 1970, month = 1, day = 1;
    for (; days > 0; --days) {
      if (++day <= length(year, month)) continue;
      day = 1;
      if (++month > 12) month = 1, ++year;
    }
    for (; days < 0; ++days) {
      if (--day > 0) continue;
      if (--month < 1) month = 12, --year;
      day = length(year, month);
    }
    char text[40];
    std::snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
    return text;
  }

  static std::string clock(std::int64_t micros) {
    char text[40];
    const int seconds = static_cast<int>(micros / 1'000'000), rest = static_cast<int>(micros % 1'000'000);
    std::snprintf(text, sizeof text, "%02d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
    std::string all = text;
    if (rest > 0) std::snprintf(text, sizeof text, ".%06d", rest), all += text;
    return all;
  }

  /// A day, or a point in time in one of the forms that readers take.
  Meaning moment(bool wholeDay) {
    const int days = one<int>({0, -1, 58, 59, 19843, 19844, 20000});
    const std::int64_t clockMicros = wholeDay ? 0 : one<std::int64_t>({0, 1, 36'000'000'000, 86'399'999'999});
    Meaning m;
    m.micros = Wide{days} * 86'400'000'000 + clockMicros;
    m.text = isoDay(days);
    if (wholeDay) return m;
    m.text += one<std::string>({"T", " "}) + clock(clockMicros);
    const std::size_t zone = pick(3);
    if (zone == 1) m.text += "Z";
    if (zone == 2) m.text += "+02:00", *m.micros -= 7'200'000'000;
    return m;
  }

  Meaning timeOfDay() {
    Meaning m;
    m.time = one<std::int64_t>({0, 1, 36'000'000'000, 36'000'000'500});
    m.text = clock(*m.time);
    return m;
  }

  Meaning uuid() {
    const std::size_t last = pick(3);
    Meaning m;
    m.text = "3f2504e0-4f89-11d3-9a0c-0305e82c330" + std::to_string(last);
    m.uuid = std::string("\x3f\x25\x04\xe0\x4f\x89\x11\xd3\x9a\x0c\x03\x05\xe8\x2c\x33", 15) + static_cast<char>(last);
    return m;
  }

  Meaning word() {
    Meaning m;
    m.text = one<std::string>({"draft", "word", "AAH/", "AAE=", "u7", "true", "false", "NaN", "2024-13-01", "z"});
    if (m.text == "true" || m.text == "false") m.boolean = m.text == "true";
    m.nan = m.text == "NaN";
    return m;
  }

  Cell cell() {
    switch (pick(12)) {
      case 0:
        return {Null{}, {}};
      case 1:
        return boolean();
      case 2:
      case 3:
        return whole();
      case 4:
        return decimal();
      case 5:
        return real();
      case 6:
        return bytes();
      case 7:
        return timeCell();
      case 8:
        return uuidCell();
      case 9:
        return momentCell();
      default: {
        Meaning m = literal();
        return {m.text, m};
      }
    }
  }

  Cell boolean() {
    Meaning m;
    m.boolean = pick(2) == 0;
    return {*m.boolean, m};
  }
  Cell whole() {
    Meaning m = number();
    while (*m.thousandths % 1000 != 0) m = number();
    const Wide n = *m.thousandths / 1000;
    return {n > INT64_MAX ? Value(static_cast<std::uint64_t>(n)) : Value(static_cast<std::int64_t>(n)), m};
  }
  Cell decimal() {
    Meaning m = number();
    if (pick(10) == 0) m = {}, m.nan = true, m.text = "NaN";
    return {Decimal{m.text}, m};
  }
  Cell real() {
    Meaning m = number();
    const double value =
        pick(10) == 0 ? std::numeric_limits<double>::quiet_NaN() : std::strtod(m.text.c_str(), nullptr);
    return {value, m};
  }
  Cell bytes() {
    Meaning m;
    m.text = one<std::string>({"word", "AAH/", "AAE=", "true"});
    return {Bytes{*octetsOf(m.text)}, m};
  }
  Cell timeCell() {
    const Meaning m = timeOfDay();
    return {Time{*m.time}, m};
  }
  Cell uuidCell() {
    const Meaning m = uuid();
    Uuid u;
    for (std::size_t i = 0; i < 16; ++i) u.octets[i] = static_cast<std::uint8_t>((*m.uuid)[i]);
    return {u, m};
  }
  Cell momentCell() {
    const bool wholeDay = pick(2) == 0;
    const Meaning m = moment(wholeDay);
    if (wholeDay) return {Date{static_cast<std::int32_t>(*m.micros / 86'400'000'000)}, m};
    return {Timestamp{static_cast<std::int64_t>(*m.micros), pick(2) == 0}, m};
  }

  std::mt19937_64 engine_;
};

Claims claimsOf(const ModelClaims& model) {
  Claims claims;
  for (const auto& [name, values] : model) {
    claims[name];
    for (const Meaning& m : values) claims[name].push_back(m.text);
  }
  return claims;
}

bool byName(const ClientView& view, const std::string& table, const ModelRow& row) {
  return view.matches(table, [&](std::string_view column) -> const Value* {
    const auto at = row.find(std::string(column));
    return at == row.end() ? nullptr : &at->second.value;
  });
}

bool byPosition(const SyncRules& rules, const ClientView& view, const std::string& table, const ModelRow& row) {
  std::vector<const Value*> values;
  for (const std::string& column : rules.columnsOf(table)) {
    const auto at = row.find(column);
    values.push_back(at == row.end() ? nullptr : &at->second.value);
  }
  return view.matchesRuleColumns(table, values.data(), values.size());
}

std::string describeRow(const ModelRow& row) {
  std::string out;
  for (const auto& [column, cell] : row) {
    out += column + "=" + std::string(toString(cell.value.kind())) + ":" + describe(cell.value) + " ";
  }
  return out;
}

TEST(SyncRulesProperty, EveryVerdictIsThatOfThePlainModel) {
  std::size_t shown = 0, judged = 0;
  for (std::uint64_t seed = 1; seed <= 4'000; ++seed) {
    SCOPED_TRACE(seed);
    RulesGenerator random(seed);
    const std::vector<Bucket> buckets = random.buckets();
    const ModelClaims claims = random.claims();
    const SyncRules rules = SyncRules::parse(jsonOf(buckets));
    const ClientView view = rules.compile(claimsOf(claims));
    for (int i = 0; i < 15; ++i) {
      const std::string table = random.table();
      const ModelRow row = random.row();
      const bool expected = shows(buckets, table, row, claims);
      judged += 1;
      shown += expected && !buckets.empty() ? 1 : 0;
      ASSERT_EQ(byName(view, table, row), expected) << jsonOf(buckets) << "\n" << table << " " << describeRow(row);
      ASSERT_EQ(byPosition(rules, view, table, row), expected) << jsonOf(buckets);
      ASSERT_FALSE(expected && view.excludesTable(table));
    }
  }
  EXPECT_GT(shown, judged / 20) << "the generator makes too few matches to prove anything";
}

bool findable(const SyncRules& rules, const ClientView& view, const std::string& table, const ModelRow& row) {
  const detail::ViewTerms terms = detail::termsOf(view);
  const std::size_t index = detail::ruleTableOf(view, table);
  if (terms.everything || std::count(terms.whole.begin(), terms.whole.end(), index) > 0) return true;
  return std::any_of(terms.terms.begin(), terms.terms.end(), [&](const detail::ViewTerm& term) {
    if (term.table != index) return false;
    const auto at = row.find(rules.columnsOf(table)[term.position]);
    if (at == row.end()) return false;
    std::vector<std::string> keys;
    detail::appendValueKeys(at->second.value, keys);
    return std::count(keys.begin(), keys.end(), term.key) > 0;
  });
}

TEST(SyncRulesProperty, WhateverAViewTakesIsFoundByItsTerms) {
  std::size_t shown = 0, passedOver = 0;
  for (std::uint64_t seed = 1; seed <= 6'000; ++seed) {
    SCOPED_TRACE(seed);
    RulesGenerator random(seed);
    const SyncRules rules = SyncRules::parse(jsonOf(random.buckets()));
    const ClientView view = rules.compile(claimsOf(random.claims()));
    for (int i = 0; i < 15; ++i) {
      const std::string table = random.table();
      const ModelRow row = random.row();
      const bool found = findable(rules, view, table, row);
      const bool takes = byName(view, table, row);
      ASSERT_TRUE(found || !takes) << rules.toJson() << "\n" << table << " " << describeRow(row);
      shown += takes && !detail::termsOf(view).everything ? 1 : 0;
      passedOver += found ? 0 : 1;
    }
  }
  EXPECT_GT(shown, 3'000u);
  EXPECT_GT(passedOver, 20'000u) << "an index that finds everything saves nothing";
}

TEST(SyncRulesProperty, RulesSurviveTheirOwnJson) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    SCOPED_TRACE(seed);
    RulesGenerator random(seed);
    const SyncRules rules = SyncRules::parse(jsonOf(random.buckets()));
    const Claims claims = claimsOf(random.claims());
    const SyncRules again = SyncRules::parse(rules.toJson());
    ASSERT_EQ(again.toJson(), rules.toJson());
    ASSERT_EQ(again.fingerprint(), rules.fingerprint());
    const ClientView view = rules.compile(claims), viewAgain = again.compile(claims);
    ASSERT_EQ(view.fingerprint(), viewAgain.fingerprint());
    for (int i = 0; i < 10; ++i) {
      const ModelRow row = random.row();
      ASSERT_EQ(byName(view, "t1", row), byName(viewAgain, "t1", row)) << rules.toJson();
    }
  }
}

TEST(SyncRulesProperty, ClaimsThatNoRuleNamesChangeNothing) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    SCOPED_TRACE(seed);
    RulesGenerator random(seed);
    const SyncRules rules = SyncRules::parse(jsonOf(random.buckets()));
    const Claims claims = claimsOf(random.claims());
    Claims more = claims;
    more["unrelated"] = {"u7", "true", "10"};
    more[""] = {"x"};
    const ClientView view = rules.compile(claims), viewMore = rules.compile(more);
    ASSERT_EQ(view.fingerprint(), viewMore.fingerprint());
    for (int i = 0; i < 10; ++i) {
      const ModelRow row = random.row();
      ASSERT_EQ(byName(view, "t2", row), byName(viewMore, "t2", row));
    }
  }
}

TEST(SyncRulesProperty, WithoutItsClaimABucketTakesNothing) {
  for (std::uint64_t seed = 1; seed <= 1'000; ++seed) {
    SCOPED_TRACE(seed);
    RulesGenerator random(seed);
    std::vector<Bucket> buckets = random.buckets();
    if (buckets.empty()) continue;
    for (Bucket& bucket : buckets) bucket.filters.push_back({"c0", static_cast<RuleOp>(random.pick(7)), {}, "absent"});
    const ClientView view = SyncRules::parse(jsonOf(buckets)).compile(claimsOf(random.claims()));
    for (int i = 0; i < 10; ++i) {
      const std::string table = random.table();
      ASSERT_FALSE(byName(view, table, random.row()));
      ASSERT_TRUE(view.excludesTable(table));
    }
  }
}

}  // namespace
}  // namespace tidegate
