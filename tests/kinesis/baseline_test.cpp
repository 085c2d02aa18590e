#include "kinesis/detail/baseline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "kinesis/detail/inflater.h"
#include "support/property.h"

namespace tidegate::kinesis::detail {
namespace {

std::string gzipped(std::string_view plain) {
  z_stream out{};
  deflateInit2(&out, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&out, plain.size()), '\0');
  out.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  out.avail_in = static_cast<uInt>(plain.size());
  out.next_out = reinterpret_cast<Bytef*>(packed.data());
  out.avail_out = static_cast<uInt>(packed.size());
  deflate(&out, Z_FINISH);
  packed.resize(packed.size() - out.avail_out);
  deflateEnd(&out);
  return packed;
}

std::string zstded(std::string_view plain) {
  std::string packed(ZSTD_compressBound(plain.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), plain.data(), plain.size(), 3));
  return packed;
}

std::string unpacked(std::string_view packed, std::size_t step) {
  Inflater inflater;
  std::string out;
  const auto take = [&](std::string_view piece) { out += piece; };
  for (std::size_t i = 0; i < packed.size(); i += step) inflater.push(packed.substr(i, step), take);
  inflater.finish(take);
  return out;
}

TEST(KinesisInflater, UnpacksWhateverItIsHoweverItIsCut) {
  test::forEachSeed(8, [](std::uint64_t seed) {
    test::Random random(seed);
    std::string plain;
    for (std::size_t i = random.index(600'000); i > 0; --i) plain.push_back("{\"id\":1}\n"[random.below(9)]);
    const std::size_t step = 1 + random.index(10'000);
    EXPECT_TRUE(unpacked(gzipped(plain), step) == plain);
    EXPECT_TRUE(unpacked(zstded(plain), step) == plain);
    EXPECT_TRUE(unpacked(plain, step) == plain);
    EXPECT_TRUE(unpacked(gzipped(plain) + gzipped("more"), step) == plain + "more") << "members one after the other";
    EXPECT_TRUE(unpacked(zstded(plain) + zstded("more"), step) == plain + "more") << "frames one after the other";
  });
}

TEST(KinesisInflater, UnpacksAWholeBufferExactly) {
  const std::string plain(256 * 1024, 'x');  // as large as what it unpacks into
  EXPECT_TRUE(unpacked(zstded(plain), 1'000'000) == plain);
  EXPECT_TRUE(unpacked(gzipped(plain), 1'000'000) == plain);
}

TEST(KinesisInflater, SaysWhereTheDataIsNotWhole) {
  const std::string plain(100'000, 'x');
  for (std::string packed : {gzipped(plain), zstded(plain)}) {
    packed.resize(packed.size() - 1);
    EXPECT_THROW(unpacked(packed, 1'000), Error);
    packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 0x55);
    EXPECT_THROW(unpacked(packed, 1'000), Error);
  }
}

TEST(KinesisLines, AreCutHoweverTheyCome) {
  test::forEachSeed(100, [](std::uint64_t seed) {
    test::Random random(seed);
    std::string text;
    std::vector<std::string> expected;
    for (std::uint64_t i = random.below(50); i > 0; --i) {
      expected.emplace_back(random.index(100), static_cast<char>('a' + random.below(26)));
      text += expected.back() + "\n";
    }
    if (random.below(2) == 0 && !expected.empty() && !expected.back().empty()) text.pop_back();
    LineCutter cutter(1'000);
    std::vector<std::string> lines;
    const auto onLine = [&](std::string_view line) {
      lines.emplace_back(line);
      return true;
    };
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t step = 1 + random.index(300);
      EXPECT_TRUE(cutter.push(std::string_view(text).substr(at, step), onLine));
      at += step;
    }
    EXPECT_TRUE(cutter.finish(onLine));
    EXPECT_EQ(lines, expected);
  });
  LineCutter small(10);
  EXPECT_THROW(small.push("12345678901", [](std::string_view) { return true; }), Error);
}

/// A row of one column, or nothing where it is refused. With a space before the colon its key is not as it is usually
/// written, and so it is read the long way.
std::optional<Value> readOne(RowDecoder& decoder, const Shape& shape, const std::string& value, bool usual) {
  std::vector<Value> values;
  std::vector<std::uint32_t> missing;
  try {
    decoder.decode((usual ? "{\"c\":" : "{\"c\" :") + value + "}", *shape, values, missing);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::parseError);
    return std::nullopt;
  }
  return values.at(0);
}

TEST(KinesisRows, AreTheSameTheShortWayAndTheLong) {
  test::forEachSeed(60, [](std::uint64_t seed) {
    test::Random random(seed);
    for (const ValueKind kind : {ValueKind::int64, ValueKind::text, ValueKind::timestamp, ValueKind::date}) {
      const Shape shape = makeShape({.table = "t", .columns = {{.name = "c", .kind = kind}}});
      RowDecoder decoder;
      for (int step = 0; step < 40; ++step) {
        std::string text;
        if (kind == ValueKind::int64) {
          for (std::uint64_t i = 1 + random.below(21); i > 0; --i) text.push_back("0123456789-.e"[random.index(13)]);
          if (random.below(2) == 0) text = std::to_string(static_cast<std::int64_t>(random.bits()) >> random.below(64));
        } else {
          // Few days, so that they repeat; and now and then an octet that does not belong there.
          text = fmt::format("2026-0{}-1{}{}{:02}:{:02}:{:02}", 1 + random.below(2), random.below(2),
                             "T "[random.index(2)], random.below(26), random.below(62), random.below(62));
          if (random.below(2) == 0) text += "." + std::to_string(random.below(10'000'000));
          text += std::string("Z").substr(random.index(2));
          if (random.below(3) == 0) text[random.index(text.size())] = "0:-T.Z+\\u x"[random.index(12)];
          if (random.below(8) == 0) text.resize(random.index(text.size()));
          if (random.below(8) == 0)
            text +=
                std::string(random.index(40), 'a') + "\xC3\xA4" + std::string(1, static_cast<char>(random.below(256)));
          text = "\"" + text + "\"";
        }
        const auto shortWay = readOne(decoder, shape, text, true), longWay = readOne(decoder, shape, text, false);
        EXPECT_TRUE(shortWay == longWay) << text;
      }
    }
  });
}

TEST(KinesisManifest, NamesTablesAndThePlaceInTheStream) {
  const Manifest manifest = parseManifest(R"({
    "tables": [{"table": "public.users", "primaryKey": ["id"], "parts": ["users-0.jsonl.zst", {"key": "users-1", "etag": "e"}],
                "columns": [{"name": "id", "type": "int64", "nullable": false, "sourceType": "bigint"}, {"name": "name"}]}],
    "stream": {"shardId-000000000000": "4957", "shardId-000000000001": "TRIM_HORIZON", "shardId-000000000002": "SHARD_END"},
    "takenAt": "2026-01-31T12:00:00Z", "something": "else"})");
  ASSERT_EQ(manifest.tables.size(), 1u);
  EXPECT_EQ(manifest.tables[0].schema.columns[0].kind, ValueKind::int64);
  EXPECT_EQ(manifest.tables[0].schema.columns[1].kind, ValueKind::text);
  EXPECT_EQ(manifest.tables[0].parts[1].etag, "e");
  EXPECT_EQ(manifest.shards.at("shardId-000000000000").sequence, "4957");
  EXPECT_EQ(manifest.shards.at("shardId-000000000002").kind, ShardPlaceKind::done);
  EXPECT_EQ(manifest.takenMillis, 1'769'860'800'000);
}

TEST(KinesisManifest, SaysWhichMemberIsWrong) {
  const auto refusal = [](std::string_view json) {
    try {
      parseManifest(json);
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::parseError);
      return e.message();
    }
    return std::string();
  };
  EXPECT_NE(refusal("{}").find("tables"), std::string::npos);
  EXPECT_NE(refusal(R"({"tables":[{"table":"t","columns":[{"name":"a","type":"varchar"}]}]})").find("varchar"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"tables":[{"table":"t","columns":[{"name":"a"}],"primaryKey":["b"]}]})"), "");
  EXPECT_NE(refusal(R"({"tables":[],"stream":{"s":"latest"}})").find("stream.s"), std::string::npos);
  EXPECT_NE(refusal(R"({"tables":[],"takenAt":"yesterday"})").find("takenAt"), std::string::npos);
}

}  // namespace
}  // namespace tidegate::kinesis::detail
