#include "source/detail/poll_state.h"

#include <fmt/format.h>

#include "core/detail/packed.h"
#include "source/detail/hash.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace state_detail {

constexpr std::string_view kStateMagic = "TGPS";
constexpr std::uint8_t kStateVersion = 1;

void putOptional(const std::optional<Value>& v, std::string& out) {
  out.push_back(v ? 1 : 0);
  if (v) packValue(*v, out);
}

std::optional<Value> optionalValue(PackedReader& in) {
  if (in.octet() == 0) return std::nullopt;
  return in.value();
}

void putWindow(const LookbackWindow& window, bool withPrints, std::string& out) {
  putVarint(withPrints ? window.size() : 0, out);
  if (!withPrints) return;
  window.forEach([&](const LookbackWindow::Entry& e) {
    putFixed64(e.row, out);
    putFixed64(e.print.low, out);
    putFixed64(e.print.high, out);
  });
}

void readWindow(PackedReader& in, LookbackWindow& window) {
  const std::uint64_t count = in.varint();
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t row = in.fixed64();
    const std::uint64_t low = in.fixed64();
    window.put(row, {low, in.fixed64()}, 1);
  }
}

std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '/' || c == '%')
      out += fmt::format("%{:02X}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out;
}

void readBody(PackedReader in, DecodedState& out, std::uint64_t config) {
  in.raw(kStateMagic.size() + 1);
  if (in.fixed64() != config) {
    out.problem = "it was saved for another query, cursor column or row id columns";
    return;
  }
  const std::uint8_t kind = in.octet();
  if (kind > static_cast<std::uint8_t>(CursorKind::other)) {
    out.problem = "it names an unknown kind of cursor";
    return;
  }
  out.state.form = {static_cast<CursorKind>(kind), static_cast<std::uint32_t>(in.varint())};
  out.state.newest = optionalValue(in);
  out.state.from = optionalValue(in);
  readWindow(in, out.state.window);
  readWindow(in, out.state.nulls);
}

}  // namespace state_detail

using namespace state_detail;

std::uint64_t configHash(const IngestTableConfig& table) {
  std::string text;
  putText(table.query, text);
  if (const auto* cursor = std::get_if<CursorStrategy>(&table.strategy)) putText(cursor->cursorColumn, text);
  for (const std::string& column : table.rowIdColumns) putText(column, text);
  return hash64(text, table.strategy.index());
}

std::string encodeState(const CursorState& state, std::uint64_t config, bool withPrints) {
  std::string out(kStateMagic);
  out.push_back(static_cast<char>(kStateVersion));
  putFixed64(config, out);
  out.push_back(static_cast<char>(state.form.kind));
  putVarint(state.form.detail, out);
  putOptional(state.newest, out);
  putOptional(state.from, out);
  putWindow(state.window, withPrints, out);
  putWindow(state.nulls, withPrints, out);
  putFixed64(hash64(out), out);
  return out;
}

DecodedState decodeState(std::string_view octets, std::uint64_t config) {
  DecodedState out;
  if (octets.size() < kStateMagic.size() + 9 || octets.substr(0, kStateMagic.size()) != kStateMagic) {
    out.problem = "it is not a poller's state";
    return out;
  }
  if (static_cast<std::uint8_t>(octets[kStateMagic.size()]) != kStateVersion) {
    out.problem = fmt::format("its format is version {}, this is {}",
                              static_cast<unsigned char>(octets[kStateMagic.size()]), kStateVersion);
    return out;
  }
  const std::string_view body = octets.substr(0, octets.size() - 8);
  if (PackedReader(octets.substr(body.size())).fixed64() != hash64(body)) {
    out.problem = "its checksum is wrong";
    return out;
  }
  try {
    readBody(PackedReader(body), out, config);
  } catch (const Error& e) {
    out.problem = e.message();
  }
  if (!out.problem.empty()) out.state = CursorState{};
  return out;
}

std::string snapshotKey(std::string_view source, std::string_view table) {
  return escaped(source) + '/' + escaped(table);
}

std::string stateKey(std::string_view source, std::string_view table) { return "poller/" + snapshotKey(source, table); }

}  // namespace tidegate::detail
