#include "mysql/detail/logged_statement.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <initializer_list>
#include <optional>

namespace tidegate::mysql::detail {
namespace {

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

bool sameWord(std::string_view word, std::string_view wanted) {
  return word.size() == wanted.size() &&
         std::equal(word.begin(), word.end(), wanted.begin(), [](char a, char b) { return upper(a) == b; });
}

/// Words, quoted names and signs of a statement, without its comments. What stands in comments that the servers run
/// (/*!40000 … */, /*M! … */) counts.
class Words {
 public:
  explicit Words(std::string_view text) : text_(text) { next(); }

  bool done() const { return !quoted_ && word_.empty(); }
  std::string_view word() const { return word_; }
  bool is(std::string_view wanted) const { return !quoted_ && sameWord(word_, wanted); }
  bool take(std::string_view wanted) {
    if (!is(wanted)) return false;
    next();
    return true;
  }
  /// What is left, from the current word on.
  std::string_view rest() const { return text_.substr(begin_); }
  void next() {
    skipBlanks();
    begin_ = at_;
    quoted_ = false;
    name_.clear();
    if (at_ >= text_.size()) return void(word_ = {});
    const char c = text_[at_];
    if (c == '`' || c == '"' || c == '\'') return quotedWord(c);
    if (!isNameOctet(c)) {
      word_ = text_.substr(at_++, 1);
      return;
    }
    while (at_ < text_.size() && isNameOctet(text_[at_])) ++at_;
    word_ = text_.substr(begin_, at_ - begin_);
  }
  /// A name, quoted or not, where one stands.
  std::optional<std::string> takeName() {
    if (done() || (!quoted_ && !isNameOctet(word_.front()))) return std::nullopt;
    std::string name = quoted_ ? name_ : std::string(word_);
    next();
    return name;
  }
  std::optional<LoggedTable> takeTable(std::string_view database) {
    std::optional<std::string> first = takeName();
    if (!first) return std::nullopt;
    if (!take(".")) return LoggedTable{std::string(database), std::move(*first)};
    std::optional<std::string> second = takeName();
    if (!second) return std::nullopt;
    return LoggedTable{std::move(*first), std::move(*second)};
  }

 private:
  static bool isNameOctet(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' || (c & 0x80) != 0;
  }
  void quotedWord(char quote) {
    quoted_ = true;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == quote) {
        if (at_ + 1 >= text_.size() || text_[at_ + 1] != quote) break;
        ++at_;
      } else if (text_[at_] == '\\' && quote != '`' && at_ + 1 < text_.size()) {
        ++at_;
      }
      name_ += text_[at_];
    }
    at_ = std::min(at_ + 1, text_.size());
    word_ = text_.substr(begin_, at_ - begin_);
  }
  bool startsWith(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  void skipTo(std::string_view end) {
    const auto found = text_.find(end, at_);
    at_ = found == std::string_view::npos ? text_.size() : found + end.size();
  }
  void skipBlanks() {
    for (;;) {
      while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
      if (startsWith("/*!") || startsWith("/*M!")) {
        at_ += text_[at_ + 2] == 'M' ? 4 : 3;
        while (at_ < text_.size() && std::isdigit(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
      } else if (startsWith("*/")) {
        at_ += 2;
      } else if (startsWith("/*")) {
        at_ += 2;
        skipTo("*/");
      } else if (startsWith("#") || startsWith("-- ") || startsWith("--\n") || startsWith("--\t")) {
        skipTo("\n");
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0, begin_ = 0;
  std::string_view word_{};
  std::string name_{};  ///< of a quoted word, without its quotes
  bool quoted_ = false;
};

/// "X'61',X'',1" in one form, whoever wrote it.
std::string xidText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) out += c == 'x' ? 'X' : c;
  }
  return out;
}

void readXa(Words& words, LoggedStatement& out) {
  if (words.is("START") || words.is("BEGIN")) out.kind = StatementKind::xaStart;
  if (words.is("END")) out.kind = StatementKind::xaEnd;
  if (words.is("COMMIT")) out.kind = StatementKind::xaCommit;
  if (words.is("ROLLBACK")) out.kind = StatementKind::xaRollback;
  words.next();
  out.xid = xidText(words.rest());
}

void skipIfExists(Words& words) {
  if (!words.take("IF")) return;
  words.take("NOT");
  words.take("EXISTS");
}

void takeTables(Words& words, std::string_view database, LoggedStatement& out) {
  do {
    auto table = words.takeTable(database);
    if (!table) return;
    out.tables.push_back(std::move(*table));
  } while (words.take(","));
}

void readDrop(Words& words, std::string_view database, LoggedStatement& out) {
  if (words.take("DATABASE") || words.take("SCHEMA")) {
    skipIfExists(words);
    out.kind = StatementKind::dropTable;
    out.dropsDatabase = true;
    out.tables.push_back({words.takeName().value_or(""), ""});
    return;
  }
  // Temporary tables are another session's own.
  if (!words.take("TABLE") && !words.take("TABLES")) return;
  skipIfExists(words);
  out.kind = StatementKind::dropTable;
  takeTables(words, database, out);
}

void readRename(Words& words, std::string_view database, LoggedStatement& out) {
  if (!words.take("TABLE") && !words.take("TABLES")) return;
  skipIfExists(words);
  out.kind = StatementKind::renameTable;
  do {
    auto from = words.takeTable(database);
    while (!words.done() && !words.is("TO")) words.next();  // WAIT n, NOWAIT
    words.next();
    auto to = words.takeTable(database);
    if (!from || !to) return;
    out.tables.push_back(std::move(*from));
    out.tables.push_back(std::move(*to));
  } while (words.take(","));
}

/// Whatever a table's partitions are told to do but to be checked may move rows. While a table is system-versioned its
/// history stands among its rows: what came until then is not to be relied on.
bool movesRowsWith(std::string_view word) {
  constexpr std::array<std::string_view, 5> kWords{"PARTITION", "PARTITIONS", "TABLESPACE", "PARTITIONING",
                                                   "VERSIONING"};
  return std::any_of(kWords.begin(), kWords.end(), [&](std::string_view w) { return sameWord(word, w); });
}

/// Whether a clause of an ALTER that begins so may touch columns: whatever is not known to be of indexes and the like
/// may.
bool isOfColumns(std::string_view verb, std::string_view object) {
  const auto isAny = [](std::string_view word, std::initializer_list<std::string_view> words) {
    return std::any_of(words.begin(), words.end(), [&](std::string_view w) { return sameWord(word, w); });
  };
  if (isAny(verb, {"MODIFY", "CHANGE", "CONVERT"})) return true;
  if (sameWord(verb, "RENAME")) return sameWord(object, "COLUMN");
  return isAny(verb, {"ADD", "DROP"}) && !isAny(object, {"INDEX", "KEY", "UNIQUE", "PRIMARY", "FOREIGN", "FULLTEXT",
                                                         "SPATIAL", "CONSTRAINT", "CHECK", "PARTITION", "DEFAULT"});
}

/// EXCHANGE PARTITION p WITH TABLE x, CONVERT TABLE x TO PARTITION p, CONVERT PARTITION p TO TABLE x.
/// @return whether the words were taken.
bool readOther(Words& words, std::string_view database, LoggedStatement& out) {
  using Other = LoggedStatement::Other;
  const bool exchanges = words.is("EXCHANGE");
  if (!exchanges && !words.is("CONVERT")) return false;
  words.next();
  const bool takesIn = !exchanges && words.is("TABLE");
  if (!takesIn && !words.is("PARTITION")) return true;  // CONVERT TO CHARACTER SET
  out.movesRows = true;
  while (!words.done() && !words.is("TABLE")) words.next();
  words.next();
  out.other = words.takeTable(database);
  out.becomes = exchanges ? Other::rowsChanged : takesIn ? Other::gone : Other::made;
  return true;
}

void readAlter(Words& words, std::string_view database, LoggedStatement& out) {
  words.take("ONLINE");
  // Rows that would be duplicates in a new unique index are left out.
  if (words.take("IGNORE")) out.movesRows = true;
  if (!words.take("TABLE")) return;
  skipIfExists(words);
  auto table = words.takeTable(database);
  if (!table) return;
  out.kind = StatementKind::alterTable;
  out.tables.push_back(std::move(*table));
  int depth = 0;
  std::string_view before;
  for (; !words.done();) {
    out.movesColumns = out.movesColumns || (depth == 0 && isOfColumns(before, words.word()));
    before = words.word();
    if (depth == 0 && readOther(words, database, out)) continue;
    if (words.is("(")) ++depth;
    if (words.is(")")) --depth;
    out.movesRows = out.movesRows || movesRowsWith(words.word());
    const bool renames = depth == 0 && words.is("RENAME");
    words.next();
    if (!renames || words.is("COLUMN") || words.is("INDEX") || words.is("KEY")) continue;
    if (!words.take("TO") && !words.take("AS")) words.take("=");
    if (auto to = words.takeTable(database)) out.tables.push_back(std::move(*to));
  }
}

void readCreate(Words& words, std::string_view database, LoggedStatement& out) {
  if (words.take("OR")) out.replaces = words.take("REPLACE");
  if (!words.take("TABLE")) return;
  skipIfExists(words);
  out.kind = StatementKind::createTable;
  if (auto table = words.takeTable(database)) out.tables.push_back(std::move(*table));
}

void skipModifiers(Words& words) {
  while (words.is("SET") || words.is("STATEMENT")) {  // SET STATEMENT a = 1 FOR …
    while (!words.done() && !words.is("FOR")) words.next();
    words.next();
  }
}

}  // namespace

LoggedStatement readStatement(std::string_view text, std::string_view database) {
  LoggedStatement out;
  Words words(text);
  skipModifiers(words);
  constexpr std::array<std::string_view, 7> kChangeRows{"INSERT", "UPDATE", "DELETE", "REPLACE",
                                                        "LOAD",   "WITH",   "CALL"};
  const auto first = words.word();
  const auto startsWith = [&](std::string_view word) { return sameWord(first, word); };
  if (startsWith("BEGIN")) {
    out.kind = StatementKind::begin;
  } else if (startsWith("COMMIT")) {
    out.kind = StatementKind::commit;
  } else if (startsWith("ROLLBACK")) {
    words.next();
    out.kind = words.is("TO") ? StatementKind::inTransaction : StatementKind::rollback;
  } else if (startsWith("SAVEPOINT") || startsWith("RELEASE")) {
    out.kind = StatementKind::inTransaction;
  } else if (words.take("XA")) {
    readXa(words, out);
  } else if (words.take("TRUNCATE")) {
    words.take("TABLE");
    out.kind = StatementKind::truncate;
    takeTables(words, database, out);
  } else if (words.take("DROP")) {
    readDrop(words, database, out);
  } else if (words.take("RENAME")) {
    readRename(words, database, out);
  } else if (words.take("ALTER")) {
    readAlter(words, database, out);
  } else if (words.take("CREATE")) {
    readCreate(words, database, out);
  } else if (std::any_of(kChangeRows.begin(), kChangeRows.end(), startsWith)) {
    out.kind = StatementKind::changesRows;
  }
  return out;
}

}  // namespace tidegate::mysql::detail
