#include "tidegate/jobs/time_zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

#include "jobs/detail/posix_zone.h"
#include "tidegate/core/error.h"

namespace tidegate {
namespace tz_detail {

constexpr std::size_t kMostFileBytes = 1u << 20;
/// No file of the database has more; a damaged one must not make us allocate.
constexpr std::uint64_t kMostTransitions = 10'000;

/// Whole numbers of a TZif file: two's complement, highest octet first.
class Tzif {
 public:
  explicit Tzif(std::string_view octets) : octets_(octets) {}

  std::int64_t number(std::size_t bytes) {
    std::uint64_t value = !rest(bytes).empty() && (octets_[at_] & 0x80) != 0 ? ~std::uint64_t{0} : 0;
    for (std::size_t i = 0; i < bytes; ++i) value = (value << 8) | static_cast<unsigned char>(octets_[at_ + i]);
    at_ += bytes;
    return static_cast<std::int64_t>(value);
  }
  std::size_t count() {
    const std::int64_t value = number(4);
    if (value < 0 || static_cast<std::uint64_t>(value) > kMostTransitions) fail();
    return static_cast<std::size_t>(value);
  }
  void skip(std::size_t bytes) {
    rest(bytes);
    at_ += bytes;
  }
  std::string_view tail() const { return octets_.substr(at_); }
  std::string_view rest(std::size_t bytes) const {
    if (octets_.size() - at_ < bytes) fail();
    return octets_.substr(at_, bytes);
  }
  [[noreturn]] static void fail() { throw Error(ErrorCode::parseError, Retry::never, "it is no whole TZif file"); }

 private:
  std::string_view octets_;
  std::size_t at_ = 0;
};

struct Header {
  char version;
  std::size_t ut, standard, leaps, times, types, chars;

  std::size_t bytes(std::size_t timeBytes) const {
    return times * (timeBytes + 1) + types * 6 + chars + leaps * (timeBytes + 4) + standard + ut;
  }
};

Header readHeader(Tzif& in) {
  if (in.rest(4) != "TZif") Tzif::fail();
  in.skip(4);
  Header header{};
  header.version = in.rest(1)[0];
  in.skip(16);
  header.ut = in.count();
  header.standard = in.count();
  header.leaps = in.count();
  header.times = in.count();
  header.types = in.count();
  header.chars = in.count();
  if (header.types == 0) Tzif::fail();
  return header;
}

class FileZone final : public TimeZone {
 public:
  FileZone(std::string_view name, std::string_view octets) : name_(name) {
    Tzif in(octets);
    Header header = readHeader(in);
    std::size_t timeBytes = 4;
    if (header.version >= '2') {
      in.skip(header.bytes(4));
      header = readHeader(in);
      timeBytes = 8;
    }
    readBlock(in, header, timeBytes);
    if (timeBytes == 8) readFooter(in.tail());
  }

  const std::string& name() const noexcept override { return name_; }

  Segment at(std::int64_t moment) const override {
    const auto after = std::upper_bound(times_.begin(), times_.end(), moment);
    const auto index = static_cast<std::size_t>(after - times_.begin());
    Segment out;
    if (index == times_.size() && rule_) {
      out = rule_->at(moment);
      if (!times_.empty()) out.start = std::max(out.start, times_.back());
      return out;
    }
    out.start = index == 0 ? kAlways : times_[index - 1];
    out.end = index == times_.size() ? kForEver : times_[index];
    out.offset = std::chrono::seconds(index == 0 ? first_ : offsets_[index - 1]);
    return out;
  }

 private:
  void readBlock(Tzif& in, const Header& header, std::size_t timeBytes) {
    for (std::size_t i = 0; i < header.times; ++i) times_.push_back(in.number(timeBytes));
    if (!std::is_sorted(times_.begin(), times_.end())) Tzif::fail();
    std::vector<std::size_t> types;
    for (std::size_t i = 0; i < header.times; ++i) {
      types.push_back(static_cast<unsigned char>(in.rest(1)[0]));
      in.skip(1);
    }
    std::vector<std::int64_t> typeOffsets;
    for (std::size_t i = 0; i < header.types; ++i) {
      typeOffsets.push_back(in.number(4));
      in.skip(2);
    }
    first_ = typeOffsets[0];
    for (const std::size_t type : types) {
      if (type >= typeOffsets.size()) Tzif::fail();
      offsets_.push_back(typeOffsets[type]);
    }
    dropSteps();
    in.skip(header.chars + header.leaps * (timeBytes + 4) + header.standard + header.ut);
  }

  /// Leaves out steps at which the offset stays (the name changed, or whether it counts as summer time).
  void dropSteps() {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < times_.size(); ++i) {
      if (offsets_[i] == (kept == 0 ? first_ : offsets_[kept - 1])) continue;
      times_[kept] = times_[i];
      offsets_[kept++] = offsets_[i];
    }
    times_.resize(kept);
    offsets_.resize(kept);
  }

  void readFooter(std::string_view footer) {
    if (footer.size() < 2 || footer.front() != '\n') return;
    const std::size_t end = footer.find('\n', 1);
    if (end == std::string_view::npos || end == 1) return;
    rule_ = detail::PosixZone::parse(footer.substr(1, end - 1));
    if (!rule_) Tzif::fail();
  }

  const std::string name_;
  std::vector<std::int64_t> times_, offsets_;  ///< when the offset changed, and to what
  std::int64_t first_ = 0;                     ///< before the first of them
  std::optional<detail::PosixZone> rule_;
};

class UtcZone final : public TimeZone {
 public:
  const std::string& name() const noexcept override { return name_; }
  Segment at(std::int64_t) const override { return {}; }

 private:
  const std::string name_ = "UTC";
};

/// Names of the database: no path can leave its folder.
bool isZoneName(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '/' || name.front() == '.') return false;
  if (name.find("..") != std::string_view::npos || name.find("//") != std::string_view::npos) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '+' || c == '/';
  });
}

std::optional<std::string> readZoneFile(const std::string& path) {
  std::error_code unknown;
  if (!std::filesystem::is_regular_file(path, unknown)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  std::string octets(std::istreambuf_iterator<char>(file), {});
  if (octets.size() > kMostFileBytes || octets.substr(0, 4) != "TZif") return std::nullopt;
  return octets;
}

}  // namespace tz_detail

TimeZone::Segment TimeZone::at(Clock::Micros moment) const {
  return at(static_cast<std::int64_t>(std::chrono::floor<std::chrono::seconds>(moment).count()));
}

std::shared_ptr<const TimeZone> TimeZone::parse(std::string_view name, std::string_view tzif) {
  return std::make_shared<tz_detail::FileZone>(name, tzif);
}

std::shared_ptr<const TimeZone> TimeZone::load(std::string_view name) {
  if (name == "UTC") return std::make_shared<tz_detail::UtcZone>();
  if (tz_detail::isZoneName(name)) {
    std::vector<std::string> folders;
    if (const char* own = std::getenv("TZDIR")) folders.emplace_back(own);
    folders.insert(folders.end(), {"/usr/share/zoneinfo", "/etc/zoneinfo"});
    for (const std::string& folder : folders) {
      const auto octets = tz_detail::readZoneFile(folder + "/" + std::string(name));
      if (!octets) continue;
      try {
        return parse(name, *octets);
      } catch (const Error& e) {
        throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
                    fmt::format("time zone \"{}\": {}/{} cannot be read: {}", name, folder, name, e.message()));
      }
    }
  }
  throw Error(ErrorCode::invalidConfig, Retry::never,
              fmt::format("there is no time zone \"{}\": name one of the system's database, such as \"UTC\" or "
                          "\"Europe/Berlin\"",
                          name.substr(0, 64)));
}

}  // namespace tidegate
