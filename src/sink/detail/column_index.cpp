#include "sink/detail/column_index.h"

#include <algorithm>
#include <set>
#include <unordered_map>

#include "core/detail/packed.h"
#include "sink/detail/value_order.h"

namespace tidegate::detail {

namespace {

/// Values by hash. Rows of one value are kept sorted, which costs little: new rows have the greatest numbers.
class HashIndex final : public ColumnIndex {
 public:
  void add(std::string_view packed, std::uint32_t row) override {
    auto& rows = rows_[hash(packed)];
    rows.insert(std::lower_bound(rows.begin(), rows.end(), row), row);
    ++count_;
  }
  void remove(std::string_view packed, std::uint32_t row) override {
    const auto found = rows_.find(hash(packed));
    auto& rows = found->second;
    rows.erase(std::lower_bound(rows.begin(), rows.end(), row));
    if (rows.empty()) rows_.erase(found);
    --count_;
  }
  void clear() noexcept override {
    rows_.clear();
    count_ = 0;
  }
  void equals(const Value& value, const Visitor& visit) const override {
    std::string packed;
    packValue(value, packed);
    const auto found = rows_.find(hash(packed));
    if (found == rows_.end()) return;
    for (const std::uint32_t row : found->second) {
      if (!visit(row)) return;
    }
  }
  std::size_t bytes() const noexcept override { return rows_.size() * 64 + count_ * sizeof(std::uint32_t); }

 private:
  static std::size_t hash(std::string_view packed) { return std::hash<std::string_view>{}(packed); }

  std::unordered_map<std::size_t, std::vector<std::uint32_t>> rows_;
  std::size_t count_ = 0;
};

class OrderedIndex final : public ColumnIndex {
 public:
  void add(std::string_view packed, std::uint32_t row) override {
    Entry entry{PackedReader(packed).value(), row};
    octets_ += valueBytes(entry.value);
    entries_.insert(std::move(entry));
  }
  void remove(std::string_view packed, std::uint32_t row) override {
    const Entry entry{PackedReader(packed).value(), row};
    octets_ -= valueBytes(entry.value);
    entries_.erase(entry);
  }
  void clear() noexcept override {
    entries_.clear();
    octets_ = 0;
  }
  void equals(const Value& value, const Visitor& visit) const override { range(&value, &value, true, false, visit); }
  bool ordered() const noexcept override { return true; }
  void range(const Value* from, const Value* to, bool includeTo, bool descending, const Visitor& visit) const override {
    // `Bound` compares by value alone, so that it stands before or after all rows of its value.
    auto first = from != nullptr ? entries_.lower_bound(Bound{*from}) : entries_.begin();
    auto last = to == nullptr ? entries_.end()
                : includeTo   ? entries_.upper_bound(Bound{*to})
                              : entries_.lower_bound(Bound{*to});
    if (from != nullptr && to != nullptr && orderedBefore(*to, *from)) return;
    if (!descending) {
      for (; first != last; ++first) {
        if (!visit(first->row)) return;
      }
      return;
    }
    while (last != first) {
      if (!visit((--last)->row)) return;
    }
  }
  std::size_t bytes() const noexcept override { return entries_.size() * (sizeof(Entry) + 40) + octets_; }

 private:
  struct Entry {
    Value value;
    std::uint32_t row = 0;
  };
  struct Bound {
    const Value& value;
  };
  struct Less {
    using is_transparent = void;
    bool operator()(const Entry& a, const Entry& b) const noexcept {
      if (orderedBefore(a.value, b.value)) return true;
      return !orderedBefore(b.value, a.value) && a.row < b.row;
    }
    bool operator()(const Entry& a, const Bound& b) const noexcept { return orderedBefore(a.value, b.value); }
    bool operator()(const Bound& a, const Entry& b) const noexcept { return orderedBefore(a.value, b.value); }
  };

  std::set<Entry, Less> entries_;
  std::size_t octets_ = 0;
};

}  // namespace

void ColumnIndex::range(const Value*, const Value*, bool, bool, const Visitor&) const {}

std::unique_ptr<ColumnIndex> makeHashIndex() { return std::make_unique<HashIndex>(); }
std::unique_ptr<ColumnIndex> makeOrderedIndex() { return std::make_unique<OrderedIndex>(); }

}  // namespace tidegate::detail
