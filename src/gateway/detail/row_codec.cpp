#include "gateway/detail/row_codec.h"

#include <algorithm>
#include <cstring>

#include "core/detail/packed.h"
#include "gateway/detail/octet_writer.h"

namespace tidegate::detail {
namespace {

// Row flags.
constexpr std::uint8_t kHasInserted = 1;
constexpr std::uint8_t kHasErased = 2;
constexpr std::uint8_t kInsertedByIngest = 4;
// Column flags.
constexpr std::uint8_t kHasRegister = 1;
constexpr std::uint8_t kIngest = 2;
constexpr std::uint8_t kStampOfInsert = 4;  // the stamp is the row's `inserted`: not written again
constexpr std::uint8_t kHasMemory = 8;
constexpr std::uint8_t kMemoryIsValue = 16;  // the memory's value equals the register's: not written again

constexpr std::size_t kStampBound = 8 + kMaxVarint32;

/// Reads a varint from octets that this process wrote.
std::uint64_t trustedVarint(const char*& at) noexcept {
  std::uint64_t v = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto o = static_cast<std::uint8_t>(*at++);
    v |= static_cast<std::uint64_t>(o & 0x7F) << shift;
    if (o < 0x80) return v;
  }
}

PackedStamp readStamp(PackedReader& in) {
  PackedStamp stamp;
  stamp.hlc = in.fixed64();
  stamp.client = static_cast<NameId>(in.varint());
  return stamp;
}

void writeStamp(const PackedStamp& stamp, OctetWriter& out) {
  out.fixed64(stamp.hlc);
  out.varint(stamp.client);
}

void readColumn(PackedReader& in, const PackedStamp& inserted, ColumnImage& column) {
  column.name = static_cast<NameId>(in.varint());
  const std::uint8_t flags = in.octet();
  column.hasRegister = (flags & kHasRegister) != 0;
  column.ingest = (flags & kIngest) != 0;
  column.hasMemory = (flags & kHasMemory) != 0;
  column.stamp = {};
  column.value = {};
  if (column.hasRegister) {
    column.stamp = (flags & kStampOfInsert) != 0 ? inserted : readStamp(in);
    column.value = in.packedValue();
  }
  column.memorySender = kNoName;
  column.memory = {};
  if (column.hasMemory) {
    column.memorySender = static_cast<NameId>(in.varint());
    column.memory = (flags & kMemoryIsValue) != 0 ? column.value : in.packedValue();
  }
}

void writeColumn(const ColumnImage& column, const PackedStamp& inserted, OctetWriter& out) {
  const bool sharesStamp = column.hasRegister && inserted.isSet() && column.stamp == inserted;
  const bool sharesValue = column.hasMemory && column.hasRegister && column.memory == column.value;
  out.varint(column.name);
  out.octet(static_cast<std::uint8_t>((column.hasRegister ? kHasRegister : 0) | (column.ingest ? kIngest : 0) |
                                      (sharesStamp ? kStampOfInsert : 0) | (column.hasMemory ? kHasMemory : 0) |
                                      (sharesValue ? kMemoryIsValue : 0)));
  if (column.hasRegister) {
    if (!sharesStamp) writeStamp(column.stamp, out);
    out.raw(column.value);
  }
  if (column.hasMemory) {
    out.varint(column.memorySender);
    if (!sharesValue) out.raw(column.memory);
  }
}

}  // namespace

void RowImage::clear(NameId ofTable, std::string_view ofRowId) {
  table = ofTable;
  rowId = ofRowId;
  inserted = erased = {};
  insertedByIngest = false;
  columns.clear();
}

bool RowImage::visible(const NameTable& names) const noexcept {
  // Registers that an erase hides are dropped, so any that is left is later than it.
  for (const ColumnImage& column : columns) {
    if (column.hasRegister) return true;
  }
  return earlier(erased, inserted, names);
}

bool RowImage::remembersIngest(const NameTable& names) const noexcept {
  for (const ColumnImage& column : columns) {
    if (column.hasMemory) return true;
  }
  return insertedByIngest && inserted.isSet() && erased.client != inserted.client && !earlier(erased, inserted, names);
}

bool blockHasKey(const RowBlock& block, NameId table, std::string_view rowId) noexcept {
  const char* at = block.octets().data();
  if (trustedVarint(at) != table) return false;
  const std::uint64_t size = trustedVarint(at);
  return size == rowId.size() && std::memcmp(at, rowId.data(), rowId.size()) == 0;
}

NameId blockTable(const RowBlock& block) noexcept {
  const char* at = block.octets().data();
  return static_cast<NameId>(trustedVarint(at));
}

void readRow(std::string_view octets, RowImage& row) {
  PackedReader in(octets);
  const auto table = static_cast<NameId>(in.varint());
  row.clear(table, in.text());
  const std::uint8_t flags = in.octet();
  if ((flags & kHasInserted) != 0) row.inserted = readStamp(in);
  if ((flags & kHasErased) != 0) row.erased = readStamp(in);
  row.insertedByIngest = (flags & kInsertedByIngest) != 0;
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count; ++i) readColumn(in, row.inserted, row.columns.emplace_back());
}

std::size_t rowOctetsBound(const RowImage& row) noexcept {
  std::size_t bound = 4 * kMaxVarint32 + 1 + row.rowId.size() + 2 * kStampBound;
  for (const ColumnImage& column : row.columns) {
    bound += 2 * kMaxVarint32 + 1 + kStampBound + column.value.size() + column.memory.size();
  }
  return bound;
}

std::size_t writeRow(const RowImage& row, char* to) noexcept {
  OctetWriter out(to);
  out.varint(row.table);
  out.text(row.rowId);
  out.octet(static_cast<std::uint8_t>((row.inserted.isSet() ? kHasInserted : 0) |
                                      (row.erased.isSet() ? kHasErased : 0) |
                                      (row.insertedByIngest ? kInsertedByIngest : 0)));
  if (row.inserted.isSet()) writeStamp(row.inserted, out);
  if (row.erased.isSet()) writeStamp(row.erased, out);
  out.varint(row.columns.size());
  for (const ColumnImage& column : row.columns) writeColumn(column, row.inserted, out);
  return static_cast<std::size_t>(out.at() - to);
}

RowBlock* makeBlock(const RowImage& row, const NameTable& names, std::string& scratch) {
  const std::size_t bound = rowOctetsBound(row);
  if (scratch.size() < bound) scratch.resize(std::max(bound, 2 * scratch.size()));
  const std::size_t size = writeRow(row, scratch.data());
  RowBlock* block = allocateBlock(size);
  std::memcpy(block->data(), scratch.data(), size);
  block->visible = row.visible(names) ? 1 : 0;
  return block;
}

RowBlock* makeFreshBlock(const FreshRow& row) {
  std::size_t size = varintSize(row.table) + varintSize(row.rowId.size()) + row.rowId.size() + 1 + 8 +
                     varintSize(row.stamp.client) + varintSize(row.columns.size());
  for (const IncomingColumn& column : row.columns) size += varintSize(column.name) + 1 + column.value.size();
  RowBlock* block = allocateBlock(size);
  block->visible = 1;
  OctetWriter out(block->data());
  out.varint(row.table);
  out.text(row.rowId);
  out.octet(kHasInserted | (row.ingest ? kInsertedByIngest : 0));
  writeStamp(row.stamp, out);
  out.varint(row.columns.size());
  const std::uint8_t flags = kHasRegister | kStampOfInsert | (row.ingest ? kIngest : 0);
  for (const IncomingColumn& column : row.columns) {
    out.varint(column.name);
    out.octet(flags);
    out.raw(column.value);
  }
  return block;
}

}  // namespace tidegate::detail
