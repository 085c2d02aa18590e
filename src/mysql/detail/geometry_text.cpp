#include "mysql/detail/geometry_text.h"

#include <fmt/format.h>

#include <array>
#include <bit>
#include <iterator>

#include "mysql/detail/octet_cursor.h"

namespace tidegate::mysql::detail {
namespace {

/// Collections within collections; more than anyone draws.
constexpr int kMaxGeometryDepth = 32;

enum GeometryKind : std::uint32_t {
  point = 1,
  lineString,
  polygon,
  multiPoint,
  multiLineString,
  multiPolygon,
  collection
};
constexpr std::array<std::string_view, 8> kGeometryNames{
    "", "POINT", "LINESTRING", "POLYGON", "MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION"};

class WktWriter {
 public:
  WktWriter(OctetCursor& in, std::string& out) : in_(in), out_(out) {}

  void geometry(int depth) {
    const std::uint32_t kind = head();
    out_ += kGeometryNames[kind];
    body(kind, depth);
  }

 private:
  std::uint32_t head() {
    const std::uint8_t order = in_.octet();
    if (order > 1) refuseOctets("a geometry has an unknown octet order");
    bigEndian_ = order == 0;
    const std::uint32_t kind = number();
    if (kind < point || kind > collection) refuseOctets(fmt::format("a geometry has the unknown kind {}", kind));
    return kind;
  }
  std::uint32_t number() { return static_cast<std::uint32_t>(bigEndian_ ? in_.big(4) : in_.little(4)); }
  void coordinate() {
    fmt::format_to(std::back_inserter(out_), "{}", std::bit_cast<double>(bigEndian_ ? in_.big(8) : in_.little(8)));
  }
  void coordinates() {
    coordinate();
    out_ += ' ';
    coordinate();
  }
  /// A count, then as many parts in brackets, none of which is shorter than `least` octets.
  template <class Part>
  void list(std::size_t least, const Part& part) {
    const std::uint32_t count = number();
    if (count > in_.left() / least) refuseOctets("a geometry ends too early");
    if (count == 0) return void(out_ += " EMPTY");
    const bool order = bigEndian_;
    for (std::uint32_t i = 0; i < count; ++i) {
      bigEndian_ = order;
      out_ += i == 0 ? '(' : ',';
      part();
    }
    out_ += ')';
  }
  void line() {
    list(16, [this] { coordinates(); });
  }
  void rings() {
    list(4, [this] { line(); });
  }
  void member(std::uint32_t wanted) {
    if (head() != wanted) refuseOctets("a geometry holds a part of another kind");
  }
  void body(std::uint32_t kind, int depth) {
    switch (kind) {
      case point:
        out_ += '(';
        coordinates();
        out_ += ')';
        return;
      case lineString:
        return line();
      case polygon:
        return rings();
      case multiPoint:
        return list(21, [this] {
          member(point);
          coordinates();
        });
      case multiLineString:
        return list(9, [this] {
          member(lineString);
          line();
        });
      case multiPolygon:
        return list(9, [this] {
          member(polygon);
          rings();
        });
      default:
        if (depth >= kMaxGeometryDepth) refuseOctets("a geometry holds too many within each other");
        return list(9, [this, depth] { geometry(depth + 1); });
    }
  }

  OctetCursor& in_;
  std::string& out_;
  bool bigEndian_ = false;
};

}  // namespace

void geometryToText(std::string_view octets, std::string& out) {
  if (octets.empty()) return;  // what MariaDB stores in a NOT NULL column that was given nothing
  OctetCursor in(octets, "a geometry");
  const std::uint64_t srid = in.little(4);
  if (srid != 0) fmt::format_to(std::back_inserter(out), "SRID={};", srid);
  WktWriter(in, out).geometry(0);
  if (!in.done()) refuseOctets("a geometry goes on behind its end");
}

}  // namespace tidegate::mysql::detail
