/// Protocol Buffers' wire format (protobuf.dev, "Encoding"): the few parts that the sync messages need.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tidegate::server::detail {

enum class WireType : std::uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

/// Appends fields. Fields of proto3 that hold their default are left out by the caller.
class ProtoWriter {
 public:
  explicit ProtoWriter(std::string& out) : out_(out) {}
  void varint(std::uint32_t field, std::uint64_t value);
  void fixed64(std::uint32_t field, std::uint64_t value);
  void bytes(std::uint32_t field, std::string_view value);
  /// Begins a message within; `end` with what this gave. Its length is put before it then.
  std::size_t begin(std::uint32_t field);
  void end(std::size_t began);

 private:
  void tag(std::uint32_t field, WireType type) { plain(std::uint64_t{field} << 3 | static_cast<std::uint64_t>(type)); }
  void plain(std::uint64_t value);
  std::string& out_;
};

/// Reads fields one after the other. Lengths are checked before anything is taken.
///
///     for (ProtoReader fields(octets, "SyncPull"); fields.next();)
///       if (fields.field() == 1) pull.clientId = fields.bytes();
///
/// A field that is not asked for is skipped. @throws Error{parseError} naming the message for malformed octets.
class ProtoReader {
 public:
  ProtoReader(std::string_view octets, std::string_view message) : rest_(octets), message_(message) {}
  bool next();
  std::uint32_t field() const noexcept { return field_; }
  std::uint64_t varint() const;
  std::uint64_t fixed64() const;
  std::string_view bytes() const;
  /// Bytes that are UTF-8, as proto3's strings are.
  std::string_view text() const;
  [[noreturn]] void fail(std::string_view what) const;

 private:
  std::uint64_t plain();
  void expect(WireType type) const;

  std::string_view rest_;
  std::string_view message_;
  std::uint32_t field_ = 0;
  WireType type_ = WireType::varint;
  std::uint64_t number_ = 0;
  std::string_view bytes_{};
};

}  // namespace tidegate::server::detail
