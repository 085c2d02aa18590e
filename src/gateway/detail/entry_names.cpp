#include "gateway/detail/entry_names.h"

#include <algorithm>

#include "core/detail/packed.h"
#include "gateway/detail/log_entry.h"

namespace tidegate::detail {

void EntryNames::none(std::uint64_t sequence) {
  sequence_ = sequence;
  same_ = true;
  ours_.clear();
}

void EntryNames::take(std::string_view payload, std::uint64_t sequence) {
  none(sequence);
  PackedReader in(payload);
  for (std::uint64_t left = in.varint(); left > 0; --left) {
    const auto theirs = static_cast<NameId>(std::min<std::uint64_t>(in.varint(), kNoName));
    const std::string_view text = in.text();
    if (theirs == kNoName || text.empty()) entryCorrupt(sequence, "spells a name that cannot be one");
    NameId own = theirs;
    if (const auto known = names_.find(text)) {
      own = *known;
    } else if (!names_.has(theirs)) {
      names_.restore(theirs, text);
    } else {
      own = names_.intern(text);
    }
    ours_.insert_or_assign(theirs, own);
    same_ = same_ && own == theirs;
  }
}

NameId EntryNames::operator()(NameId theirs) const {
  if (theirs == kNoName) return kNoName;
  const auto found = ours_.find(theirs);
  if (found == ours_.end()) entryCorrupt(sequence_, "uses a name that it does not spell");
  return found->second;
}

void EntryNames::apply(RowImage& row) const {
  const auto own = [&](NameId& name) {
    if (!same_)
      name = (*this)(name);
    else if (name != kNoName && !names_.has(name))
      entryCorrupt(sequence_, "uses a name that it does not spell");
  };
  own(row.table);
  own(row.inserted.client);
  own(row.erased.client);
  for (ColumnImage& column : row.columns) {
    own(column.name);
    own(column.stamp.client);
    own(column.memorySender);
  }
  if (row.table == kNoName) entryCorrupt(sequence_, "holds a row of no table");
}

void EntryNames::apply(RecordView& record) const {
  const auto own = [&](NameId& name) {
    if (!same_)
      name = (*this)(name);
    else if (name != kNoName && !names_.has(name))
      entryCorrupt(sequence_, "uses a name that it does not spell");
  };
  own(record.table);
  own(record.stamp.client);
  own(record.rules.contextStamp.client);
  for (IncomingColumn& column : record.columns) own(column.name);
  for (IncomingColumn& column : record.rules.context) own(column.name);
  if (record.table == kNoName) entryCorrupt(sequence_, "holds a record of no table");
}

}  // namespace tidegate::detail
