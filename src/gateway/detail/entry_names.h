/// The names of another gateway's entry as this gateway numbers them.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "gateway/detail/log_record.h"
#include "gateway/detail/name_table.h"
#include "gateway/detail/row_codec.h"

namespace tidegate::detail {

/// Numbers are given by each gateway as names come up; mostly in the same order, then nothing needs rewriting.
/// @thread One at a time.
class EntryNames {
 public:
  explicit EntryNames(NameTable& names) : names_(names) {}

  /// Takes the names that an entry spells. @throws Error{storeCorrupt, invalidConfig}
  void take(std::string_view payload, std::uint64_t sequence);
  /// An entry that spells none.
  void none(std::uint64_t sequence);
  /// Whether the entry's numbers are this gateway's.
  bool same() const noexcept { return same_; }

  /// This gateway's number. @throws Error{storeCorrupt} for a name that the entry does not spell.
  NameId operator()(NameId theirs) const;
  /// Renumbers, or checks where `same`.
  void apply(RowImage& row) const;
  void apply(RecordView& record) const;

 private:
  NameTable& names_;
  std::uint64_t sequence_ = 0;
  bool same_ = true;
  std::unordered_map<NameId, NameId> ours_;
};

}  // namespace tidegate::detail
