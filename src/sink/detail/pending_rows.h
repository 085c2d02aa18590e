/// The changes of one table that a sink has taken and not yet sent: several changes of one key become one.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::detail {

/// Fields one after the other, each a big-endian 32-bit length (-1: null) and as many octets, whose meaning is the
/// driver's. This is how Postgres writes the elements of arrays and the fields of a binary COPY.
inline void appendFieldLength(std::int32_t length, std::string& out) {
  const auto bits = static_cast<std::uint32_t>(length);
  const char octets[4] = {static_cast<char>(bits >> 24), static_cast<char>(bits >> 16), static_cast<char>(bits >> 8),
                          static_cast<char>(bits)};
  out.append(octets, 4);
}
inline void appendNullField(std::string& out) { appendFieldLength(-1, out); }

/// Reads fields forward.
class FieldReader {
 public:
  explicit FieldReader(const char* at) : at_(at) {}
  /// The next field with its length in front.
  std::string_view next() {
    std::uint32_t length = 0;
    for (int i = 0; i < 4; ++i) length = length << 8 | static_cast<unsigned char>(at_[i]);
    const std::size_t size = 4 + (length == UINT32_MAX ? 0 : length);
    const std::string_view field(at_, size);
    at_ += size;
    return field;
  }
  static bool isNull(std::string_view field) { return field[0] == '\xFF'; }
  static std::string_view payload(std::string_view field) { return field.substr(4); }

 private:
  const char* at_;
};

/// Changes by key, the last word for each. What a key went through is kept as far as it matters:
///  - an erase before an insert stays an erase and an insert, so that columns which the source does not send start
///  anew;
///  - a row with unchanged columns over a whole row is a whole row; over another such row it is one still.
///
///     rows.begin();
///     for (…) appendField(value, rows.row());
///     rows.upsert(key);
class PendingRows {
 public:
  enum class Kind : std::uint8_t {
    upsert,  ///< the row holds all columns
    patch,   ///< the row holds all columns, the unchanged ones null: `unchanged(mask)`
    erase    ///< the row holds the key's columns, in key order
  };
  struct Entry {
    Kind kind;
    bool erasedBefore;  ///< of an upsert: the row that was there is erased first
    std::uint32_t mask;
    std::uint32_t keySize;
    std::size_t keyAt, rowAt;
    std::size_t hash;
  };

  explicit PendingRows(std::size_t columnCount) : columnCount_(columnCount) {}

  /// Begins a row; its fields are appended to `row()`, then one of the three says what it is.
  void begin() { start_ = rows_.size(); }
  std::string& row() { return rows_; }
  void upsert(std::string_view key);
  void patch(std::string_view key, const std::vector<std::uint32_t>& unchangedColumns);
  void erase(std::string_view key);

  bool empty() const { return entries_.empty(); }
  std::size_t size() const { return entries_.size(); }
  std::size_t bytes() const { return rows_.size() + keys_.size(); }
  const std::vector<Entry>& entries() const { return entries_; }
  const char* rowOf(const Entry& entry) const { return rows_.data() + entry.rowAt; }
  /// Columns, ascending, that a patch leaves alone.
  const std::vector<std::uint32_t>& unchanged(std::uint32_t mask) const { return masks_[mask]; }
  std::size_t maskCount() const { return masks_.size(); }
  /// Forgets everything; memory is kept for the next rows, but not that of an outsized one.
  void clear();

 private:
  Entry& entryOf(std::string_view key, bool& isNew);
  void grow();
  std::uint32_t maskFor(const std::vector<std::uint32_t>& columns);
  /// The row begun, with the fields of `columns` taken from the entry's row.
  void fillFrom(const Entry& entry, const std::vector<std::uint32_t>& columns);

  std::size_t columnCount_;
  std::string rows_, keys_;
  std::size_t start_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> slots_;  ///< index + 1 into `entries_`; 0: free
  std::vector<std::vector<std::uint32_t>> masks_;
};

}  // namespace tidegate::detail
