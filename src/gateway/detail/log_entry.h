/// The octets of a shared log's entries, and of its snapshots' chunks (docs/formats.md): sections, each read alone,
/// with the names that they use spelled out and a checksum over all.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gateway/detail/name_set.h"
#include "gateway/detail/name_table.h"

namespace tidegate::detail {

/// What a section holds. Numbers are part of the format.
enum class EntryPart : std::uint8_t {
  names = 1,        ///< count, then number and text of each
  group = 2,        ///< the head after the group, and the stamp of its tombstones
  records = 3,      ///< log records, one after the other
  rows = 4,         ///< row blocks, each a text
  seen = 5,         ///< dedupe keys, 16 octets each
  ingest = 6,       ///< notes and epochs of ingest senders
  drops = 7,        ///< tombstones to forget
  begin = 8,        ///< the log's first entry: from when on the gateways serve
  rules = 9,        ///< new rules, and the head that they begin after
  purge = 10,       ///< a table to forget, and the head
  snapshot = 11,    ///< a client's snapshot under rules: its view and the client
  client = 12,      ///< what is known of a client that pulls under rules
  clientGone = 13,  ///< a client to forget
  after = 14,       ///< the checksum of the entry before; in snapshots: of the one that they stand after
  state = 20,       ///< snapshots: the state's numbers and rules
  dedupe = 21,      ///< snapshots: keys of the dedupe window
  turn = 22,        ///< snapshots: the window's older half ends
  clients = 23,     ///< snapshots: all clients
  viewStamps = 24,  ///< snapshots: which views have snapshots at which stamps
  trimmedTo = 25,   ///< snapshots: records up to this stamp may be missing
  end = 26          ///< snapshots: the last chunk
};

/// Who wrote an entry: the gateway's life and a number of its own, which is how it knows an entry again.
struct EntryWriterId {
  std::uint64_t high = 0, low = 0;
  std::uint64_t number = 0;
  bool operator==(const EntryWriterId&) const = default;
};

/// Writes an entry, section by section. Capacity is reused.
class EntryDraft {
 public:
  void begin(const EntryWriterId& writer);
  /// Whether any section was written.
  bool empty() const noexcept { return sections_ == 0; }
  /// Begins a section; what is written to `octets` until `close` is its payload.
  std::string& open(EntryPart part);
  void close();
  void names(const NameSet& used, const NameTable& names);
  /// What it rests on: the checksum of the entry before.
  void follow(std::uint64_t checksum);
  /// Ends the entry. @return it, until the next `begin`.
  std::string_view finish();
  std::size_t size() const noexcept { return octets_.size(); }
  std::size_t bytes() const noexcept { return octets_.capacity(); }
  /// Gives back what one huge group took.
  void shrink();

 private:
  std::string octets_;
  std::size_t openAt_ = 0;
  std::size_t sections_ = 0;
};

/// A section as read.
struct EntrySection {
  EntryPart part = EntryPart::end;
  std::string_view payload;
};

/// An entry taken apart; texts point into it.
struct EntryView {
  EntryWriterId writer;
  std::uint64_t checksum = 0;  ///< over all of it, so also over the checksum of the entry before, which it names
  std::vector<EntrySection> sections;

  /// @throws Error{storeCorrupt} for octets that `EntryDraft` did not make, or of a version or section not known here.
  void read(std::string_view octets, std::uint64_t sequence);
  const EntrySection* find(EntryPart part) const noexcept;
  /// The checksum of the entry before, or that a snapshot stands after; nullopt: of a writer that named none.
  std::optional<std::uint64_t> after() const;
};

/// An Error{storeCorrupt} that names the entry.
[[noreturn]] void entryCorrupt(std::uint64_t sequence, std::string_view what);

}  // namespace tidegate::detail
