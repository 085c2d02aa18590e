#include "kinesis/detail/inflater.h"

#include <zlib.h>
#include <zstd.h>

#include <new>
#include <vector>

#include "tidegate/core/error.h"

namespace tidegate::kinesis::detail {
namespace {

constexpr std::string_view kGzipMagic("\x1F\x8B", 2);
constexpr std::string_view kZstdMagic("\x28\xB5\x2F\xFD", 4);
constexpr std::size_t kOutBytes = 256 * 1024;

[[noreturn]] void refusePacked(const char* form, const char* why) {
  throw Error(ErrorCode::parseError, Retry::afterOperator, std::string("the ") + form + " data " + why);
}

}  // namespace

struct Inflater::Unpackers {
  Unpackers() : out(kOutBytes) {}
  ~Unpackers() {
    if (gzipOpen) inflateEnd(&gzip);
    ZSTD_freeDCtx(zstd);
  }
  Unpackers(const Unpackers&) = delete;
  Unpackers& operator=(const Unpackers&) = delete;

  std::vector<char> out;
  z_stream gzip{};
  bool gzipOpen = false;
  bool gzipWhole = false;  ///< a member has ended, and none has begun after it
  ZSTD_DCtx* zstd = nullptr;
  std::size_t zstdWants = 0;  ///< 0: a frame has ended, and none has begun after it
};

Inflater::Inflater() : unpackers_(std::make_unique<Unpackers>()) {}
Inflater::~Inflater() = default;

void Inflater::push(std::string_view piece, const Take& take) {
  switch (form_) {
    case Form::unknown:
      head_ += piece;
      if (head_.size() >= kZstdMagic.size()) begin(take);
      return;
    case Form::plain:
      return take(piece);
    case Form::gzip:
      return pushGzip(piece, take);
    case Form::zstd:
      return pushZstd(piece, take);
  }
}

void Inflater::begin(const Take& take) {
  std::string head;
  head.swap(head_);
  if (head.starts_with(kGzipMagic)) {
    form_ = Form::gzip;
    if (inflateInit2(&unpackers_->gzip, 15 + 16) != Z_OK) throw std::bad_alloc();
    unpackers_->gzipOpen = true;
    return pushGzip(head, take);
  }
  if (head.starts_with(kZstdMagic)) {
    form_ = Form::zstd;
    unpackers_->zstd = ZSTD_createDCtx();
    if (unpackers_->zstd == nullptr) throw std::bad_alloc();
    return pushZstd(head, take);
  }
  form_ = Form::plain;
  if (!head.empty()) take(head);
}

void Inflater::pushGzip(std::string_view piece, const Take& take) {
  z_stream& in = unpackers_->gzip;
  std::vector<char>& out = unpackers_->out;
  in.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(piece.data()));
  in.avail_in = static_cast<uInt>(piece.size());
  do {
    if (unpackers_->gzipWhole) {
      if (in.avail_in == 0) return;
      if (inflateReset(&in) != Z_OK) refusePacked("gzip", "is damaged");
      unpackers_->gzipWhole = false;
    }
    in.next_out = reinterpret_cast<Bytef*>(out.data());
    in.avail_out = static_cast<uInt>(out.size());
    const int result = inflate(&in, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) refusePacked("gzip", "is damaged");
    const std::size_t made = out.size() - in.avail_out;
    if (made > 0) take({out.data(), made});
    unpackers_->gzipWhole = result == Z_STREAM_END;
  } while (in.avail_in > 0 || in.avail_out == 0);
}

void Inflater::pushZstd(std::string_view piece, const Take& take) {
  std::vector<char>& out = unpackers_->out;
  ZSTD_inBuffer in{piece.data(), piece.size(), 0};
  for (;;) {
    ZSTD_outBuffer made{out.data(), out.size(), 0};
    const std::size_t wants = ZSTD_decompressStream(unpackers_->zstd, &made, &in);
    if (ZSTD_isError(wants) != 0) refusePacked("zstd", "is damaged");
    unpackers_->zstdWants = wants;
    if (made.pos > 0) take({out.data(), made.pos});
    if (in.pos == in.size && (wants == 0 || made.pos < made.size)) return;
  }
}

void Inflater::finish(const Take& take) {
  if (form_ == Form::unknown) begin(take);
  if (form_ == Form::gzip && !unpackers_->gzipWhole) refusePacked("gzip", "ends before its end");
  if (form_ == Form::zstd && unpackers_->zstdWants != 0) refusePacked("zstd", "ends before its end");
}

}  // namespace tidegate::kinesis::detail
