#include "gateway/detail/rule_literals.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <utility>

#include "core/detail/json_tree.h"
#include "core/detail/octet_text.h"

namespace tidegate::detail {
namespace {

/// From this many literals on, equality is looked up in a hash set.
constexpr std::size_t kHashFrom = 9;

/// The number that a decimal text is, as the narrowest alternative that holds it exactly.
Value numberOf(const std::string& text) {
  const char* const end = text.data() + text.size();
  std::int64_t integer = 0;
  if (const auto [at, error] = std::from_chars(text.data(), end, integer); error == std::errc() && at == end)
    return integer;
  std::uint64_t large = 0;
  if (const auto [at, error] = std::from_chars(text.data(), end, large); error == std::errc() && at == end)
    return large;
  const std::size_t point = text.find('.');
  const bool whole = point != std::string::npos && text.find_first_not_of('0', point + 1) == std::string::npos;
  if (whole) return numberOf(text.substr(0, point));
  return Decimal{text};
}

bool numberLess(const Value& a, const Value& b) { return compareValues(a, b) == std::partial_ordering::less; }

template <class T>
void sortUnique(std::vector<T>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

}  // namespace

RuleLiterals::RuleLiterals(RuleOp op, const std::vector<std::string>& literals) : op_(op) {
  for (const std::string& literal : literals) {
    texts_.values.push_back(literal);
    readNumber(literal);
    readTime(literal);
    readOctets(literal);
    if (literal == "true" || literal == "false")
      bools_.values.push_back(literal == "true");
    else
      bools_.complete = false;
  }
  sortAll();
  if (texts_.values.size() < kHashFrom) return;
  textSet_.insert(texts_.values.begin(), texts_.values.end());
  integerSet_.insert(integers_.begin(), integers_.end());
}

void RuleLiterals::readNumber(const std::string& literal) {
  if (!isDecimal(literal)) {
    numbers_.complete = reals_.complete = false;
    return;
  }
  if (literal == "NaN") {
    nan_ = true;
    return;
  }
  numbers_.values.push_back(numberOf(literal));
  if (const auto* integer = numbers_.values.back().getIf<std::int64_t>()) integers_.push_back(*integer);
  double real = 0;
  const auto [at, error] = std::from_chars(literal.data(), literal.data() + literal.size(), real);
  if (error == std::errc() && at == literal.data() + literal.size())
    reals_.values.push_back(real);
  else
    reals_.complete = false;  // beyond what a double can hold
}

void RuleLiterals::readTime(const std::string& literal) {
  if (Instant instant; Instant::parse(literal, instant))
    instants_.values.push_back(instant);
  else
    instants_.complete = false;
  if (Time time; parseTime(literal, time))
    times_.values.push_back(time.micros);
  else
    times_.complete = false;
}

void RuleLiterals::readOctets(const std::string& literal) {
  if (Uuid uuid; parseUuid(literal, uuid))
    uuids_.values.push_back(uuid.octets);
  else
    uuids_.complete = false;
  if (auto octets = fromBase64(literal))
    bytes_.values.push_back(std::move(*octets));
  else
    bytes_.complete = false;
  if (JsonTree::tryParse(literal))
    documents_.values.push_back(Json{literal});
  else
    documents_.complete = false;
}

void RuleLiterals::sortAll() {
  sortUnique(texts_.values);
  sortUnique(integers_);
  sortUnique(reals_.values);
  sortUnique(bools_.values);
  sortUnique(instants_.values);
  sortUnique(times_.values);
  sortUnique(uuids_.values);
  sortUnique(bytes_.values);
  std::sort(numbers_.values.begin(), numbers_.values.end(), numberLess);
}

bool RuleLiterals::hold(const Value& value) const {
  switch (value.kind()) {
    case ValueKind::null:
      return false;
    case ValueKind::boolean: {
      const bool unordered = op_ != RuleOp::eq && op_ != RuleOp::neq && op_ != RuleOp::in;
      return !unordered && holdIn(bools_, value.as<bool>());
    }
    case ValueKind::int64:
      return holdInteger(value, value.as<std::int64_t>());
    case ValueKind::uint64:
    case ValueKind::decimal:
      return holdNumber(value);
    case ValueKind::real:
      return holdReal(value.as<double>());
    case ValueKind::text:
      return holdText(value.as<std::string>());
    case ValueKind::bytes:
      return holdIn(bytes_, value.as<Bytes>().octets);
    case ValueKind::date:
      return holdIn(instants_, Instant::of(value.as<Date>()));
    case ValueKind::time:
      return holdIn(times_, value.as<Time>().micros);
    case ValueKind::timestamp:
      return holdIn(instants_, Instant::of(value.as<Timestamp>()));
    case ValueKind::uuid:
      return holdIn(uuids_, value.as<Uuid>().octets);
    case ValueKind::json:
      return holdJson(value);
  }
  return false;
}

/// The one place that says what an op asks of a set of readings.
template <class T, class U>
bool RuleLiterals::holdIn(const Readings<T>& readings, const U& value) const {
  const auto& values = readings.values;
  switch (op_) {
    case RuleOp::eq:
    case RuleOp::in:
      return std::binary_search(values.begin(), values.end(), value);
    case RuleOp::neq:
      return readings.complete && !std::binary_search(values.begin(), values.end(), value);
    default:
      return !values.empty() && ordered(value <=> values.front());
  }
}

bool RuleLiterals::ordered(std::partial_ordering order) const noexcept {
  switch (op_) {
    case RuleOp::gt:
      return order > 0;
    case RuleOp::gte:
      return order >= 0;
    case RuleOp::lt:
      return order < 0;
    case RuleOp::lte:
      return order <= 0;
    default:
      return false;
  }
}

bool RuleLiterals::containsText(std::string_view text) const {
  if (!textSet_.empty()) return textSet_.find(text) != textSet_.end();
  return std::any_of(texts_.values.begin(), texts_.values.end(), [&](const std::string& t) { return t == text; });
}

/// Text is compared by its bytes, or as time where both it and the literal are dates or timestamps ("infinity" is a
/// word).
bool RuleLiterals::holdText(std::string_view text) const {
  const bool equality = op_ == RuleOp::eq || op_ == RuleOp::neq || op_ == RuleOp::in;
  if (equality && containsText(text)) return op_ != RuleOp::neq;
  Instant instant;
  const bool maybeTime = !instants_.values.empty() && text.size() >= 10 && text[0] <= '9';
  if (maybeTime && Instant::parse(text, instant)) {
    if (!equality) return texts_.values.front()[0] <= '9' ? holdIn(instants_, instant) : holdIn(texts_, text);
    const bool found = std::binary_search(instants_.values.begin(), instants_.values.end(), instant);
    return found != (op_ == RuleOp::neq);
  }
  return equality ? op_ == RuleOp::neq : holdIn(texts_, text);
}

bool RuleLiterals::containsNumber(const Value& value) const {
  return std::binary_search(numbers_.values.begin(), numbers_.values.end(), value, numberLess);
}

bool RuleLiterals::holdInteger(const Value& value, std::int64_t integer) const {
  if (op_ != RuleOp::eq && op_ != RuleOp::in && op_ != RuleOp::neq) {
    return integers_.empty() ? holdNumber(value) : ordered(integer <=> integers_.front());
  }
  const bool found = integerSet_.empty() ? std::binary_search(integers_.begin(), integers_.end(), integer)
                                         : integerSet_.find(integer) != integerSet_.end();
  return op_ == RuleOp::neq ? numbers_.complete && !found : found;
}

bool RuleLiterals::holdNumber(const Value& value) const {
  const auto* decimal = value.getIf<Decimal>();
  const bool isNan = decimal != nullptr && decimal->text == "NaN";
  switch (op_) {
    case RuleOp::eq:
    case RuleOp::in:
      return isNan ? nan_ : containsNumber(value);
    case RuleOp::neq:
      return numbers_.complete && !(isNan ? nan_ : containsNumber(value));
    default:
      return !isNan && !numbers_.values.empty() && ordered(compareValues(value, numbers_.values.front()));
  }
}

bool RuleLiterals::holdReal(double real) const {
  if (!std::isnan(real)) return holdIn(reals_, real);
  if (op_ == RuleOp::neq) return reals_.complete && !nan_;
  return nan_ && (op_ == RuleOp::eq || op_ == RuleOp::in);
}

bool RuleLiterals::holdJson(const Value& value) const {
  const auto& all = documents_.values;
  const bool found = std::any_of(all.begin(), all.end(), [&](const Value& d) { return sameValue(d, value); });
  switch (op_) {
    case RuleOp::eq:
    case RuleOp::in:
      return found;
    case RuleOp::neq:
      return documents_.complete && !found;
    default:
      return false;
  }
}

}  // namespace tidegate::detail
