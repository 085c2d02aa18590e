// Every code of every character set: a change says what a query says.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "mysql/binlog_rig.h"
#include "tidegate/core/value.h"

namespace tidegate::mysql {
namespace {

class BinlogCharsets : public BinlogTest {
 protected:
  void SetUp() override {
    BinlogTest::SetUp();
    if (describe(readAll(writer, "SELECT VERSION()").at(0)[0]).find("MariaDB") == std::string::npos)
      GTEST_SKIP() << "counts by MariaDB's sequences";
  }
  /// What stands before two octets, in hexadecimal.
  static std::vector<std::string> prefixesOf(const std::string& set) {
    if (set == "ujis" || set == "eucjpms") return {"", "8F"};
    if (set == "utf16") return {"", "D800", "D83D", "DBFF"};
    if (set == "utf16le") return {"", "00D8", "3DD8", "FFDB"};
    if (set == "utf32") return {"0000", "0001", "0002", "0010"};
    std::vector<std::string> prefixes{""};
    if (set.starts_with("utf8")) {
      for (int lead = 0xE0; lead < 0xF0; ++lead) prefixes.push_back(fmt::format("{:X}", lead));
    }
    if (set == "utf8mb4") prefixes.insert(prefixes.end(), {"F090", "F09F", "F0A0", "F48F"});
    return prefixes;
  }
  /// A row for each first octet, of all codes that the server takes for well formed.
  void insertAll(const std::string& set) {
    int id = 0;
    for (const std::string& prefix : prefixesOf(set)) {
      const std::string code = fmt::format("CONCAT(x'{}', CHAR(a.seq, b.seq))", prefix);
      execute(writer,
              {fmt::format("INSERT INTO t SELECT {0} + a.seq, GROUP_CONCAT(CONVERT({1} USING {2}) SEPARATOR '') "
                           "FROM seq_0_to_255 a JOIN seq_0_to_255 b WHERE CONVERT({1} USING {2}) IS NOT NULL "
                           "AND CONVERT(CONVERT({1} USING {2}) USING binary) = {1} GROUP BY a.seq",
                           id, code, set)});
      id += 1'000;
    }
  }
  std::map<std::string, Value> tableRows() {
    std::map<std::string, Value> rows;
    const auto other = detail::makeSource(quickOptions());
    other->init({});
    const auto stream = other->readTable(kTable, {});
    for (std::vector<Value> row; stream->next(row);) rows[describe(row[0])] = row[1];
    return rows;
  }
  static std::string hexOf(const Value& value) {
    std::string hex(toString(value.kind()));
    const auto* text = value.getIf<std::string>();
    for (const char c : text != nullptr ? *text : value.as<Bytes>().octets)
      hex += fmt::format(" {:02x}", static_cast<unsigned char>(c));
    return hex;
  }
};

TEST_F(BinlogCharsets, ReadInTheStreamAsInABaselineCodeByCode) {
  execute(writer, {"SET SESSION sql_mode = ''", "SET SESSION group_concat_max_len = 10000000"});
  for (const auto& row : readAll(writer, "SELECT CHARACTER_SET_NAME FROM information_schema.CHARACTER_SETS")) {
    const std::string set = row[0].as<std::string>();
    SCOPED_TRACE(set);
    execute(writer, {"DROP TABLE IF EXISTS t",
                     fmt::format("CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET {})", set)});
    follow({kTable});
    insertAll(set);
    const auto wanted = tableRows();
    ASSERT_GE(wanted.size(), set == "ascii" ? 128u : 1u);
    for (const ChangeEvent& event : changes(wanted.size())) {
      const Value& v = wanted.at(describe(event.after.at(0)));
      if (event.after.at(1) == v) continue;
      const std::string told = hexOf(event.after[1]), read = hexOf(v);
      const auto at = static_cast<std::size_t>(std::mismatch(told.begin(), told.end(), read.begin(), read.end()).first -
                                               told.begin());
      ADD_FAILURE() << "row " << describe(event.after[0]) << " differs at " << at << " of " << read.size() << ": "
                    << told.substr(at < 30 ? 0 : at - 30, 60) << " and not " << read.substr(at < 30 ? 0 : at - 30, 60);
    }
    reader->stop();
  }
}

}  // namespace
}  // namespace tidegate::mysql
