#include "gateway/detail/log_entry.h"

#include <fmt/format.h>

#include <cstring>

#include "core/detail/packed.h"
#include "gateway/detail/seeded_hash.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace {

constexpr std::uint8_t kEntryVersion = 1;
constexpr std::uint64_t kEntrySeed = 0x7469646567617465;
constexpr std::size_t kEntryTail = 8;
constexpr std::size_t kEntryKept = 16u << 20;

bool knownPart(std::uint8_t part) {
  return (part >= 1 && part <= static_cast<std::uint8_t>(EntryPart::after)) ||
         (part >= static_cast<std::uint8_t>(EntryPart::state) && part <= static_cast<std::uint8_t>(EntryPart::end));
}

}  // namespace

void entryCorrupt(std::uint64_t sequence, std::string_view what) {
  throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
              fmt::format("{} of the shared log {}; run one version of Tidegate on all gateways, or restore the log "
                          "from a copy",
                          sequence == 0 ? "the snapshot" : fmt::format("entry {}", sequence), what));
}

void EntryDraft::begin(const EntryWriterId& writer) {
  octets_.clear();
  sections_ = 0;
  octets_.push_back(static_cast<char>(kEntryVersion));
  putFixed64(writer.high, octets_);
  putFixed64(writer.low, octets_);
  putVarint(writer.number, octets_);
}

std::string& EntryDraft::open(EntryPart part) {
  octets_.push_back(static_cast<char>(part));
  openAt_ = octets_.size();
  octets_.append(8, '\0');
  ++sections_;
  return octets_;
}

void EntryDraft::close() {
  const std::uint64_t size = octets_.size() - openAt_ - 8;
  std::memcpy(octets_.data() + openAt_, &size, 8);
}

void EntryDraft::names(const NameSet& used, const NameTable& names) {
  if (used.ids().empty()) return;
  std::string& out = open(EntryPart::names);
  putVarint(used.ids().size(), out);
  for (const NameId id : used.ids()) {
    putVarint(id, out);
    putText(names.at(id), out);
  }
  close();
}

void EntryDraft::follow(std::uint64_t checksum) {
  putFixed64(checksum, open(EntryPart::after));
  close();
}

std::string_view EntryDraft::finish() {
  putFixed64(seededHash(octets_, kEntrySeed), octets_);
  return octets_;
}

void EntryDraft::shrink() {
  if (octets_.capacity() > kEntryKept) octets_ = std::string();
}

void EntryView::read(std::string_view octets, std::uint64_t sequence) {
  sections.clear();
  if (octets.size() < kEntryTail + 1) entryCorrupt(sequence, "is cut short");
  const std::string_view body = octets.substr(0, octets.size() - kEntryTail);
  std::memcpy(&checksum, octets.data() + body.size(), kEntryTail);
  if (checksum != seededHash(body, kEntrySeed)) entryCorrupt(sequence, "fails its checksum");
  PackedReader in(body);
  if (in.octet() != kEntryVersion) entryCorrupt(sequence, "is of a version this library does not know");
  writer.high = in.fixed64();
  writer.low = in.fixed64();
  writer.number = in.varint();
  while (!in.done()) {
    const std::uint8_t part = in.octet();
    if (!knownPart(part)) entryCorrupt(sequence, "has a section this library does not know");
    const std::uint64_t size = in.fixed64();
    if (size > in.left()) entryCorrupt(sequence, "is cut short");
    sections.push_back({static_cast<EntryPart>(part), in.raw(size)});
  }
}

const EntrySection* EntryView::find(EntryPart part) const noexcept {
  for (const EntrySection& section : sections) {
    if (section.part == part) return &section;
  }
  return nullptr;
}

std::optional<std::uint64_t> EntryView::after() const {
  const EntrySection* section = find(EntryPart::after);
  if (section == nullptr) return std::nullopt;
  return PackedReader(section->payload).fixed64();
}

}  // namespace tidegate::detail
