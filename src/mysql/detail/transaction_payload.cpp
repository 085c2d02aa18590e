#include "mysql/detail/transaction_payload.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <new>

#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

enum class PayloadField : std::uint8_t { end = 0, size = 1, compression = 2, unpackedSize = 3 };
constexpr std::uint64_t kZstd = 0, kNotPacked = 255;
constexpr std::size_t kNestedFrame = 19, kNestedSizeAt = 9;
/// What the servers allow for an event.
constexpr std::uint64_t kMostNestedOctets = std::uint64_t{1} << 30;
constexpr std::size_t kUnpackStep = std::size_t{128} << 10;

}  // namespace

struct TransactionPayload::Unpacker {
  Unpacker() : context(ZSTD_createDCtx()) {
    if (context == nullptr) throw std::bad_alloc();
  }
  ~Unpacker() { ZSTD_freeDCtx(context); }
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;
  ZSTD_DCtx* context;
  std::size_t wants = 0;  ///< 0: a frame has ended, and none has begun behind it
  bool full = false;      ///< the last step filled its room, so more may be there without further octets
};

TransactionPayload::TransactionPayload(std::string_view body) { readHead(body); }
TransactionPayload::~TransactionPayload() = default;

void TransactionPayload::readHead(std::string_view body) {
  OctetCursor in(body, "a transaction's payload");
  std::optional<std::uint64_t> size, compression;
  for (;;) {
    const std::uint64_t field = in.packed();
    if (field == static_cast<std::uint64_t>(PayloadField::end)) break;
    OctetCursor value(in.packedText(), "a transaction's payload");
    if (field == static_cast<std::uint64_t>(PayloadField::size)) size = value.packed();
    if (field == static_cast<std::uint64_t>(PayloadField::compression)) compression = value.packed();
  }
  if (!size || !compression) refuseOctets("a transaction's payload does not say how it is packed");
  if (*size > in.left()) refuseOctets("a transaction's payload ends too early");
  packed_ = in.take(static_cast<std::size_t>(*size));
  if (*compression == kNotPacked) return;
  if (*compression != kZstd) {
    throw Error(ErrorCode::typeUnsupported, Retry::afterOperator,
                fmt::format("a transaction is compressed in way {}, which is not known here; mend it with: SET GLOBAL "
                            "binlog_transaction_compression = OFF. Then a new baseline is needed",
                            *compression));
  }
  unpacker_ = std::make_unique<Unpacker>();
}

bool TransactionPayload::unpackSome() {
  const bool holdsMore = unpacker_ && unpacker_->full;
  if (packed_.empty() && !holdsMore) {
    if (unpacker_ && unpacker_->wants != 0) refuseOctets("a compressed transaction ends too early");
    return false;
  }
  unpacked_.erase(0, at_);
  at_ = 0;
  if (!unpacker_) {
    unpacked_.append(packed_);
    packed_ = {};
    return true;
  }
  const std::size_t before = unpacked_.size();
  unpacked_.resize(before + kUnpackStep);
  ZSTD_inBuffer in{packed_.data(), packed_.size(), 0};
  ZSTD_outBuffer out{unpacked_.data() + before, kUnpackStep, 0};
  unpacker_->wants = ZSTD_decompressStream(unpacker_->context, &out, &in);
  if (ZSTD_isError(unpacker_->wants) != 0) refuseOctets("a compressed transaction is damaged");
  unpacked_.resize(before + out.pos);
  packed_.remove_prefix(in.pos);
  unpacker_->full = out.pos == kUnpackStep;
  return true;
}

bool TransactionPayload::fill(std::size_t size) {
  while (unpacked_.size() - at_ < size) {
    if (unpackSome()) continue;
    if (unpacked_.size() == at_) return false;
    refuseOctets("a compressed transaction ends within an event");
  }
  return true;
}

std::optional<BinlogEvent> TransactionPayload::next() {
  if (!fill(kNestedFrame)) return std::nullopt;
  OctetCursor frame(std::string_view(unpacked_).substr(at_ + kNestedSizeAt, 4), "an event in a payload");
  const std::uint64_t size = frame.little(4);
  if (size < kNestedFrame || size > kMostNestedOctets) refuseOctets("an event in a payload has an impossible length");
  fill(static_cast<std::size_t>(size));
  std::string_view octets = std::string_view(unpacked_).substr(at_, static_cast<std::size_t>(size));
  const BinlogEvent event = takeNestedEvent(octets);
  at_ += static_cast<std::size_t>(size);
  return event;
}

}  // namespace tidegate::mysql::detail
