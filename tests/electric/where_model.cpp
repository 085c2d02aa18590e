#include "electric/where_model.h"

#include <fmt/format.h>

#include <array>

namespace tidegate::electric::test {
namespace {

using tidegate::test::Random;
using Maybe = std::optional<bool>;

constexpr std::array<const char*, 6> kNumberColumns{"n", "m", "price", "ratio", "day", "at"};
constexpr std::array<const char*, 2> kTextColumns{"title", "note"};
constexpr std::array<const char*, 8> kTexts{"", "a", "b", "ab", "aB", "é", "a%b", "_"};
constexpr std::array<const char*, 6> kOperators{"=", "<>", "<", "<=", ">", ">="};

Maybe both(Maybe a, Maybe b) {
  if (a == false || b == false) return false;
  if (!a || !b) return std::nullopt;
  return true;
}
Maybe negate(Maybe a) { return a ? Maybe(!*a) : std::nullopt; }
Maybe either(Maybe a, Maybe b) { return negate(both(negate(a), negate(b))); }

template <class T>
Maybe compare(std::size_t op, const std::optional<T>& a, const std::optional<T>& b) {
  if (!a || !b) return std::nullopt;
  switch (op) {
    case 0:
      return *a == *b;
    case 1:
      return *a != *b;
    case 2:
      return *a < *b;
    case 3:
      return *a <= *b;
    case 4:
      return *a > *b;
    default:
      return *a >= *b;
  }
}

template <class T>
struct Operand {
  std::string text{};
  std::function<std::optional<T>(const ModelRow&)> value{};
};

std::string sqlText(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? "''" : std::string(1, c);
  return out + "'";
}

std::string dayText(double days) { return fmt::format("1970-01-{:02}", static_cast<int>(days) + 1); }

Operand<double> numberColumn(std::size_t column) {
  return {kNumberColumns[column], [column](const ModelRow& row) { return row.numbers[column]; }};
}

Operand<double> numberLiteral(Random& random, bool moment) {
  if (random.chance(8)) return {"NULL", [](const ModelRow&) { return std::optional<double>(); }};
  const double value = moment ? static_cast<double>(random.below(4)) : static_cast<double>(random.between(-4, 4)) / 2;
  const auto meaning = [value](const ModelRow&) { return std::optional(value); };
  if (moment) return {sqlText(dayText(value)), meaning};
  return {fmt::format("{}", value), meaning};
}

Operand<double> numberOperand(Random& random, bool moment) {
  if (random.chance(50)) return numberLiteral(random, moment);
  return numberColumn(moment ? 4 + random.index(2) : random.index(4));
}

Operand<std::string> textOperand(Random& random) {
  if (random.chance(50)) {
    const std::size_t column = random.index(2);
    return {kTextColumns[column], [column](const ModelRow& row) { return row.texts[column]; }};
  }
  if (random.chance(8)) return {"NULL::text", [](const ModelRow&) { return std::optional<std::string>(); }};
  const std::string text = random.pick(kTexts);
  return {sqlText(text), [text](const ModelRow&) { return std::optional(text); }};
}

template <class T>
ModelCondition comparison(Random& random, Operand<T> a, Operand<T> b) {
  const std::size_t op = random.index(kOperators.size());
  return {fmt::format("{} {} {}", a.text, kOperators[op], b.text),
          [op, a, b](const ModelRow& row) { return compare<T>(op, a.value(row), b.value(row)); }};
}

template <class T, class Make>
ModelCondition membership(Random& random, Operand<T> left, Make&& make) {
  std::vector<Operand<T>> list;
  std::string text;
  for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
    list.push_back(make());
    text += (text.empty() ? "" : ", ") + list.back().text;
  }
  const bool no = random.chance(40);
  return {fmt::format("{} {}IN ({})", left.text, no ? "NOT " : "", text), [=](const ModelRow& row) {
            Maybe found = false;
            for (const Operand<T>& item : list) found = either(found, compare<T>(0, left.value(row), item.value(row)));
            return no ? negate(found) : found;
          }};
}

template <class T>
ModelCondition range(Random& random, Operand<T> v, Operand<T> from, Operand<T> to) {
  const bool no = random.chance(40), symmetric = random.chance(20);
  return {fmt::format("{} {}BETWEEN {}{} AND {}", v.text, no ? "NOT " : "", symmetric ? "SYMMETRIC " : "", from.text,
                      to.text),
          [=](const ModelRow& row) {
            const auto within = [&](const Operand<T>& low, const Operand<T>& high) {
              return both(compare<T>(5, v.value(row), low.value(row)), compare<T>(3, v.value(row), high.value(row)));
            };
            const Maybe is = symmetric ? either(within(from, to), within(to, from)) : within(from, to);
            return no ? negate(is) : is;
          }};
}

bool likeAll(std::string_view text, std::string_view pattern) {
  if (pattern.empty()) return text.empty();
  if (pattern[0] == '%') return likeAll(text, pattern.substr(1)) || (!text.empty() && likeAll(text.substr(1), pattern));
  if (text.empty()) return false;
  if (pattern[0] == '\\') return text[0] == pattern[1] && likeAll(text.substr(1), pattern.substr(2));
  if (pattern[0] == '_') return likeAll(text.substr(text.starts_with("é") ? 2 : 1), pattern.substr(1));
  return pattern[0] == text[0] && likeAll(text.substr(1), pattern.substr(1));
}

std::string lower(std::string text) {
  for (char& c : text) c = c == 'B' ? 'b' : c;
  return text;
}

ModelCondition like(Random& random) {
  constexpr std::array<const char*, 9> kPatterns{"%", "_", "a%", "%b", "a_", "A\\%%", "", "%é", "\\_"};
  const Operand<std::string> text = textOperand(random);
  const std::string pattern = random.pick(kPatterns);
  const bool no = random.chance(30), fold = random.chance(40);
  return {fmt::format("{} {}{} {}", text.text, no ? "NOT " : "", fold ? "ILIKE" : "LIKE", sqlText(pattern)),
          [=](const ModelRow& row) -> Maybe {
            const auto value = text.value(row);
            if (!value) return std::nullopt;
            std::string folded = pattern;
            for (char& c : folded) c = fold && c == 'A' ? 'a' : c;
            return likeAll(fold ? lower(*value) : *value, folded) != no;
          }};
}

ModelCondition nullTest(Random& random) {
  const bool no = random.chance(50);
  if (random.chance(50)) {
    const Operand<double> a = numberColumn(random.index(6));
    return {fmt::format("{} IS {}NULL", a.text, no ? "NOT " : ""),
            [=](const ModelRow& row) { return Maybe(a.value(row).has_value() == no); }};
  }
  const Operand<std::string> a = textOperand(random), b = textOperand(random);
  return {fmt::format("{} IS {}DISTINCT FROM {}", a.text, no ? "NOT " : "", b.text),
          [=](const ModelRow& row) { return Maybe((a.value(row) != b.value(row)) != no); }};
}

ModelCondition leaf(Random& random) {
  const bool moment = random.chance(25);
  const auto number = [&] { return numberOperand(random, moment); };
  const auto column = [&] { return numberColumn(moment ? 4 + random.index(2) : random.index(4)); };
  const auto text = [&] { return textOperand(random); };
  switch (random.below(9)) {
    case 0:
      return {"done", [](const ModelRow& row) { return row.done; }};
    case 1:
      return comparison<std::string>(random, text(), text());
    case 2:
      return membership<double>(random, column(), number);
    case 3:
      return membership<std::string>(random, text(), text);
    case 4:
      return range<double>(random, column(), number(), number());
    case 5:
      return like(random);
    case 6:
      return nullTest(random);
    default:
      return comparison<double>(random, column(), number());
  }
}

ModelCondition truthTest(Random& random, const ModelCondition& inner, const std::string& text) {
  constexpr std::array<const char*, 3> kTests{"TRUE", "FALSE", "UNKNOWN"};
  const std::size_t which = random.index(3);
  const bool no = random.chance(40);
  return {fmt::format("{} IS {}{}", text, no ? "NOT " : "", kTests[which]), [=](const ModelRow& row) {
            const Maybe v = inner.holds(row);
            const bool is = which == 0 ? v == Maybe(true) : which == 1 ? v == Maybe(false) : !v;
            return Maybe(is != no);
          }};
}

}  // namespace

TableSchema thingsSchema() {
  return {.table = "things",
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "n", .kind = ValueKind::int64},
                      {.name = "m", .kind = ValueKind::int64},
                      {.name = "price", .kind = ValueKind::decimal},
                      {.name = "ratio", .kind = ValueKind::real},
                      {.name = "title", .kind = ValueKind::text},
                      {.name = "note", .kind = ValueKind::text},
                      {.name = "done", .kind = ValueKind::boolean},
                      {.name = "day", .kind = ValueKind::date},
                      {.name = "at", .kind = ValueKind::timestamp, .sourceType = "timestamp with time zone"}},
          .primaryKey = {"id"}};
}

std::vector<Value> ModelRow::values(std::int64_t id) const {
  const auto whole = [](std::optional<double> v) { return v ? Value(static_cast<std::int64_t>(*v)) : Value(); };
  const auto text = [](const std::optional<std::string>& v) { return v ? Value(*v) : Value(); };
  std::vector<Value> row{id, whole(numbers[0]), whole(numbers[1])};
  row.push_back(numbers[2] ? Value(Decimal{fmt::format("{:.1f}", *numbers[2])}) : Value());
  row.push_back(numbers[3] ? Value(*numbers[3]) : Value());
  row.push_back(text(texts[0]));
  row.push_back(text(texts[1]));
  row.push_back(done ? Value(*done) : Value());
  row.push_back(numbers[4] ? Value(Date{static_cast<std::int32_t>(*numbers[4])}) : Value());
  row.push_back(numbers[5] ? Value(Timestamp::utc(static_cast<std::int64_t>(*numbers[5] * 86'400e6))) : Value());
  return row;
}

ModelRow randomRow(Random& random) {
  const auto maybe = [&](double v) { return random.chance(20) ? std::optional<double>() : std::optional(v); };
  ModelRow row;
  for (int i = 0; i < 2; ++i) row.numbers.push_back(maybe(static_cast<double>(random.between(-2, 2))));
  for (int i = 0; i < 2; ++i) row.numbers.push_back(maybe(static_cast<double>(random.between(-4, 4)) / 2));
  row.numbers.push_back(maybe(static_cast<double>(random.below(4))));
  row.numbers.push_back(maybe(static_cast<double>(random.below(8)) / 2));
  for (int i = 0; i < 2; ++i) {
    row.texts.push_back(random.chance(20) ? std::nullopt : std::optional<std::string>(random.pick(kTexts)));
  }
  if (!random.chance(20)) row.done = random.chance(50);
  return row;
}

ModelCondition randomCondition(Random& random, std::size_t depth, bool loose) {
  if (depth == 0 || random.chance(15)) return leaf(random);
  const auto inner = [&] { return randomCondition(random, depth - 1, loose); };
  const auto wrapped = [&](const ModelCondition& c) {
    return loose && random.chance(70) ? c.text : "(" + c.text + ")";
  };
  const ModelCondition a = inner();
  if (random.chance(15)) {
    return {"NOT " + wrapped(a), [a](const ModelRow& row) { return negate(a.holds(row)); }};
  }
  if (random.chance(12)) return truthTest(random, a, wrapped(a));
  const ModelCondition b = inner();
  const bool conjunction = random.chance(50);
  return {fmt::format("{} {} {}", wrapped(a), conjunction ? "AND" : "or", wrapped(b)),
          [a, b, conjunction](const ModelRow& row) {
            return conjunction ? both(a.holds(row), b.holds(row)) : either(a.holds(row), b.holds(row));
          }};
}

}  // namespace tidegate::electric::test
