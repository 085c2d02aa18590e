#include "sqlite/detail/values.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tidegate/core/error.h"
#include "tidegate/core/json.h"

namespace tidegate::sqlite::detail {

namespace {

/// Accepts any JSON within the wire form's depth, building nothing.
class DepthBound final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return false; }
  bool key(string_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return ++depth_ <= kMaxJsonDepth; }
  bool end_array() override { return leave(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool leave() {
    --depth_;
    return true;
  }
  std::size_t depth_ = 0;
};

/// Most text is ASCII: eight octets at a time, and the full check only where a high bit is set.
bool isUtf8Fast(const char* text, std::size_t size) {
  std::uint64_t high = 0;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text + i, 8);
    high |= word;
  }
  for (; i < size; ++i) high |= static_cast<unsigned char>(text[i]) & 0x80u;
  return (high & 0x8080808080808080u) == 0 || isUtf8({text, size});
}

template <class T>
std::string& reuse(Value::Variant& cell, std::string T::*member) {
  if (auto* held = std::get_if<T>(&cell)) return held->*member;
  return cell.emplace<T>().*member;
}

void readText(sqlite3_stmt* statement, int column, Lift lift, Value::Variant& cell) {
  // sqlite3_column_text before _bytes: the order that makes the length that of the UTF-8 form.
  const char* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
  if (text == nullptr) throw std::bad_alloc();
  if (!isUtf8Fast(text, size)) {
    reuse(cell, &Bytes::octets).assign(text, size);
  } else if (lift == Lift::json && fitsJson({text, size})) {
    reuse(cell, &Json::text).assign(text, size);
  } else if (auto* held = std::get_if<std::string>(&cell)) {
    held->assign(text, size);
  } else {
    cell.emplace<std::string>(text, size);
  }
}

int bindText(sqlite3_stmt* statement, int index, const std::string& text) {
  return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
}

/// Binds a text that lives nowhere else; SQLite keeps a copy.
int bindCopy(sqlite3_stmt* statement, int index, const std::string& text) {
  return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
}

struct Binder {
  sqlite3_stmt* statement;
  int index;

  int operator()(const Null&) const { return sqlite3_bind_null(statement, index); }
  int operator()(bool v) const { return sqlite3_bind_int64(statement, index, v ? 1 : 0); }
  int operator()(std::int64_t v) const { return sqlite3_bind_int64(statement, index, v); }
  int operator()(std::uint64_t v) const {
    if (v <= static_cast<std::uint64_t>(INT64_MAX)) return (*this)(static_cast<std::int64_t>(v));
    return bindCopy(statement, index, std::to_string(v));
  }
  int operator()(double v) const {
    if (std::isnan(v)) {
      throw Error(ErrorCode::invalidArgument, Retry::never,
                  fmt::format("parameter {} is NaN, which SQLite would store as NULL; bind NULL or text", index));
    }
    return sqlite3_bind_double(statement, index, v);
  }
  int operator()(const Decimal& v) const { return bindText(statement, index, v.text); }
  int operator()(const std::string& v) const { return bindText(statement, index, v); }
  int operator()(const Bytes& v) const {
    // An empty blob with a null pointer would be NULL.
    const char* data = v.octets.empty() ? "" : v.octets.data();
    return sqlite3_bind_blob64(statement, index, data, v.octets.size(), SQLITE_STATIC);
  }
  int operator()(const Date& v) const { return bindCopy(statement, index, toIso(v)); }
  int operator()(const Time& v) const { return bindCopy(statement, index, toIso(v)); }
  int operator()(const Timestamp& v) const { return bindCopy(statement, index, toIso(v)); }
  int operator()(const Uuid& v) const { return bindCopy(statement, index, toIso(v)); }
  int operator()(const Json& v) const { return bindText(statement, index, v.text); }
};

}  // namespace

Lift liftOf(const char* declaredType) {
  if (declaredType == nullptr) return Lift::none;
  const std::string_view text(declaredType, std::strcspn(declaredType, " ("));
  const auto is = [&](std::string_view name) {
    return text.size() == name.size() && sqlite3_strnicmp(text.data(), name.data(), static_cast<int>(name.size())) == 0;
  };
  if (is("BOOLEAN") || is("BOOL")) return Lift::boolean;
  if (is("JSON")) return Lift::json;
  return Lift::none;
}

bool fitsJson(std::string_view text) noexcept {
  // The parser skips a byte order mark and takes NUL for the end; neither is JSON.
  if (text.find('\0') != text.npos || text.substr(0, 3) == "\xEF\xBB\xBF") return false;
  try {
    DepthBound bound;
    return nlohmann::json::sax_parse(text, &bound);
  } catch (...) {
    return false;
  }
}

int bindValue(sqlite3_stmt* statement, int index, const Value& value) {
  return std::visit(Binder{statement, index}, value.variant());
}

void readValue(sqlite3_stmt* statement, int column, Lift lift, Value& out) {
  Value::Variant& cell = out.variant();
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: {
      const std::int64_t number = sqlite3_column_int64(statement, column);
      if (lift == Lift::boolean && (number == 0 || number == 1)) {
        cell = number == 1;
      } else {
        cell = number;
      }
      break;
    }
    case SQLITE_FLOAT:
      cell = sqlite3_column_double(statement, column);
      break;
    case SQLITE_TEXT:
      readText(statement, column, lift, cell);
      break;
    case SQLITE_BLOB: {
      const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, column));
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      std::string& octets = reuse(cell, &Bytes::octets);
      octets.assign(size == 0 ? "" : data, size);
      break;
    }
    default:
      cell = Null{};
  }
}

}  // namespace tidegate::sqlite::detail
