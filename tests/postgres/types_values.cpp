#include "types_values.h"

namespace tidegate::postgres::detail {
namespace {

using Literal = std::function<std::string(test::Random&)>;

Literal fixed(std::vector<std::string> texts) {
  return [texts = std::move(texts)](test::Random& r) { return "'" + r.pick(texts) + "'"; };
}

Literal integers(std::int64_t low, std::int64_t high) {
  return [low, high](test::Random& r) {
    if (r.chance(20)) return fmt::format("'{}'", low);
    if (r.chance(20)) return fmt::format("'{}'", high);
    // In halves: the whole range of a bigint has no size that fits one.
    return fmt::format("'{}'", low < 0 && r.chance(50) ? r.between(low, low / 2) : r.between(high / 2, high));
  };
}

std::string interval(test::Random& r) {
  return fmt::format("'{} years {} months {} days {}{} hours {}.{} seconds'::interval", r.between(-200, 200),
                     r.between(-20, 20), r.between(-4'000, 4'000), r.chance(50) ? "-" : "", r.below(3'000),
                     r.between(-59, 59), digits(r, 6));
}

std::string uuid(test::Random& r) {
  return fmt::format("'{:08x}-{:04x}-{:04x}-{:04x}-{:012x}'", r.below(1ull << 32), r.below(65'536), r.below(65'536),
                     r.below(65'536), r.below(1ull << 48));
}

std::string number(test::Random& r) { return fmt::format("{}.{}", r.between(-900, 900), digits(r, 3)); }

std::string bits(test::Random& r, std::size_t count) {
  std::string out = "B'";
  for (std::size_t i = 0; i < count; ++i) out += static_cast<char>('0' + r.below(2));
  return out + "'";
}

std::string range(test::Random& r) {
  return fmt::format("'{}{},{}{}'", r.chance(50) ? "[" : "(", r.chance(20) ? "" : std::to_string(r.between(-50, 0)),
                     r.chance(20) ? "" : std::to_string(r.between(1, 50)), r.chance(50) ? "]" : ")");
}

void addNumbers(std::vector<TypeUnderTest>& out) {
  out.push_back({"boolean", fixed({"t", "f"})});
  out.push_back({"smallint", integers(INT16_MIN, INT16_MAX)});
  out.push_back({"integer", integers(INT32_MIN, INT32_MAX)});
  out.push_back({"bigint", integers(INT64_MIN, INT64_MAX)});
  out.push_back({"oid", integers(0, UINT32_MAX)});
  out.push_back({"real", [](test::Random& r) { return "'" + floatText(r, 9) + "'"; }});
  out.push_back({"double precision", [](test::Random& r) { return "'" + floatText(r, 17) + "'"; }});
  out.push_back({"numeric", [](test::Random& r) { return "'" + numericText(r) + "'"; }});
  out.push_back({"numeric(12,3)", [](test::Random& r) { return "'" + number(r) + "'"; }});
  out.push_back({"amount", [](test::Random& r) { return "'" + number(r) + "'"; }});
  out.push_back({"positive", integers(1, INT32_MAX)});
  out.push_back({"more_positive", integers(1, INT32_MAX)});
  out.push_back({"money", [](test::Random& r) { return "'" + number(r) + "'::numeric::money"; }});
}

void addTimes(std::vector<TypeUnderTest>& out) {
  out.push_back({"date", [](test::Random& r) {
                   return "'" +
                          oneOf(r,
                                {"infinity", "-infinity", "4713-01-01 BC", "0001-12-31 BC", "0001-01-01", "2000-01-01",
                                 "1970-01-01", "1969-12-31", "5874897-12-31"},
                                dateText(r)) +
                          "'";
                 }});
  out.push_back({"time", [](test::Random& r) {
                   return "'" + oneOf(r, {"00:00:00", "24:00:00", "23:59:59.999999"}, clockText(r)) + "'";
                 }});
  out.push_back({"timetz", [](test::Random& r) {
                   return "'" + clockText(r) + fmt::format("{:+03}:{:02}", r.between(-14, 14), r.below(60)) + "'";
                 }});
  const std::vector<std::string> odd{"infinity",
                                     "-infinity",
                                     "4713-01-01 00:00:00 BC",
                                     "294276-12-31 23:59:59.999999",
                                     "294247-01-10 04:00:54.775806",
                                     "294247-01-10 04:00:54.775807",
                                     "294247-01-10 04:00:54.775808",
                                     "294276-06-01 00:00:00.5",
                                     "1969-12-31 23:59:59.999999",
                                     "2000-01-01 00:00:00"};
  out.push_back({"timestamp", [odd](test::Random& r) { return "'" + oneOf(r, odd, momentText(r, "")) + "'"; }});
  out.push_back({"timestamptz", [odd](test::Random& r) {
                   return "'" + oneOf(r, odd, momentText(r, r.chance(50) ? "+05:30" : "")) + "'";
                 }});
  out.push_back({"moment", [](test::Random& r) { return "'" + momentText(r, "") + "'"; }});
  out.push_back({"interval", interval});
}

void addTexts(std::vector<TypeUnderTest>& out) {
  for (const char* type : {"text", "varchar(40)", "char(9)", "name"}) {
    out.push_back({type, [cut = std::string(type) == "char(9)"](test::Random& r) {
                     return cut ? "left(" + textLiteral(r) + ", 9)" : textLiteral(r);
                   }});
  }
  out.push_back({"\"char\"", fixed({"", "x", " ", "\\377"})});
  out.push_back({"bytea", [](test::Random& r) { return hexLiteral(r, r.chance(10) ? 5'000 : 12); }});
  out.push_back({"uuid", uuid});
  out.push_back({"json", [](test::Random& r) { return "to_json(" + textLiteral(r) + "::text)"; }});
  out.push_back({"json", fixed({"{\"b\": [1,  null]}", "  [ ]", "1e5", "null"})});
  out.push_back({"jsonb", [](test::Random& r) {
                   return "jsonb_build_object('k', " + textLiteral(r) + "::text, 'n', " +
                          std::to_string(r.between(-9, 9)) + ")";
                 }});
  out.push_back({"xml", fixed({"<a>1</a>", "<?xml version=\"1.0\"?><a b=\"&lt;\"/>", "text only"})});
  out.push_back({"bit(5)", [](test::Random& r) { return bits(r, 5); }});
  out.push_back({"varbit", [](test::Random& r) { return bits(r, r.index(70)); }});
  out.push_back({"tsvector", fixed({"", "a:1 b:2A", "''it''''s'':3", "x:1,2,3C"})});
  out.push_back({"tsquery", fixed({"a & !b", "a <-> (b | c:*)"})});
  out.push_back({"mood", fixed({"sad", "so so", "glad"})});
  out.push_back({"pg_lsn", fixed({"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"})});
  out.push_back({"xid", fixed({"0", "42", "4294967295"})});
  out.push_back({"jsonpath", fixed({"$.a[*] ? (@ > 1)", "$"})});
  out.push_back({"regclass", fixed({"pg_class", "pg_catalog.pg_type"})});
}

void addOthers(std::vector<TypeUnderTest>& out) {
  out.push_back({"inet", fixed({"10.0.0.1", "10.0.0.1/8", "0.0.0.0/0", "::1", "2001:db8::1/64", "10.1.2.3/32"})});
  out.push_back({"cidr", fixed({"10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "::/0"})});
  out.push_back({"macaddr", fixed({"08:00:2b:01:02:03", "ff:ff:ff:ff:ff:ff"})});
  out.push_back({"macaddr8", fixed({"08:00:2b:01:02:03:04:05"})});
  out.push_back({"point", [](test::Random& r) { return "'(" + number(r) + "," + number(r) + ")'"; }});
  out.push_back({"line", fixed({"{1,2,3}", "{0.5,-1,0}"})});
  out.push_back({"lseg", fixed({"[(0,0),(1.5,2)]"})});
  out.push_back({"box", fixed({"(1,1),(0,0)", "(1e300,1),(-1,-0.1)"})});
  out.push_back({"path", fixed({"((0,0),(1,1))", "[(0,0),(1,1),(2,0)]"})});
  out.push_back({"polygon", fixed({"((0,0),(1,1),(2,0))"})});
  out.push_back({"circle", fixed({"<(0,0),1.25>"})});
  out.push_back({"int4range", range});
  out.push_back({"int4range", fixed({"empty", "(,)"})});
  out.push_back({"numrange", range});
  out.push_back({"tstzrange", fixed({"[2024-01-01 00:00:00+02,infinity)", "(,\"2024-05-01 12:00:00.5+00\"]"})});
  out.push_back({"int4multirange", fixed({"{}", "{[1,3),[5,9)}"})});
  out.push_back({"integer[]", [](test::Random& r) {
                   return arrayLiteral(r, "integer[]",
                                       [](test::Random& e) { return std::to_string(e.between(-99, 99)); });
                 }});
  out.push_back({"text[]", [](test::Random& r) { return arrayLiteral(r, "text[]", textLiteral); }});
  out.push_back({"numeric[]", [](test::Random& r) {
                   return arrayLiteral(r, "numeric[]",
                                       [](test::Random& e) { return "'" + numericText(e) + "'::numeric"; });
                 }});
  out.push_back({"bytea[]", [](test::Random& r) {
                   return arrayLiteral(r, "bytea[]", [](test::Random& e) { return hexLiteral(e, 4) + "::bytea"; });
                 }});
  out.push_back({"timestamptz[]", [](test::Random& r) {
                   return arrayLiteral(r, "timestamptz[]",
                                       [](test::Random& e) { return "'" + momentText(e, "") + "'::timestamptz"; });
                 }});
  out.push_back({"mood[]", [](test::Random& r) { return arrayLiteral(r, "mood[]", fixed({"sad", "so so"})); }});
  out.push_back({"integer[]", fixed({"[0:1]={1,2}", "[2:2][-1:0]={{1,NULL}}"})});
  out.push_back({"numbers", [](test::Random& r) {
                   return arrayLiteral(r, "integer[]",
                                       [](test::Random& e) { return std::to_string(e.between(-9, 9)); });
                 }});
  const Literal pair = [](test::Random& r) {
    return fmt::format("ROW({}, {})::pair", r.chance(20) ? "NULL" : std::to_string(r.below(9)),
                       r.chance(20) ? "NULL" : textLiteral(r));
  };
  out.push_back({"pair", pair});
  out.push_back({"pair[]", [pair](test::Random& r) { return arrayLiteral(r, "pair[]", pair); }});
}

}  // namespace

std::vector<TypeUnderTest> typesUnderTest() {
  std::vector<TypeUnderTest> types;
  addNumbers(types);
  addTimes(types);
  addTexts(types);
  addOthers(types);
  return types;
}

}  // namespace tidegate::postgres::detail
