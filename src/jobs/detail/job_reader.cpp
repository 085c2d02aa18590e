#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "jobs/detail/job_json.h"
#include "tidegate/core/error.h"

namespace tidegate::detail {
namespace job_reader {

using nlohmann::json;

/// A password is hidden whole, a DSN in part.
bool isHidden(std::string_view member, const std::string& text) {
  return member == "dsn" ? text.find(kHidden) != std::string::npos : text == kHidden;
}

[[noreturn]] void refuse(const std::string& member, const std::string& why) {
  throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("{}: {}", member, why));
}

/// The members of one object, each asked for once; what was not asked for is a mistake.
class Members {
 public:
  Members(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) refuse(where_.empty() ? "job" : where_, "must be an object");
  }

  std::string path(std::string_view name) const {
    return where_.empty() ? std::string(name) : fmt::format("{}.{}", where_, name);
  }
  const json* find(std::string_view name) {
    known_.emplace_back(name);
    const auto at = object_.find(std::string(name));
    return at == object_.end() ? nullptr : &*at;
  }
  void refuseUnknown() const {
    for (const auto& [name, value] : object_.items()) {
      if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
      std::string all;
      for (const std::string& known : known_) all += (all.empty() ? "" : ", ") + known;
      refuse(path(name.substr(0, 64)), "is not known; known are " + all);
    }
  }

  void read(std::string_view name, std::string& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (value->is_null()) return out.clear();
    if (!value->is_string()) refuse(path(name), "must be a string");
    out = value->get<std::string>();
  }
  /// Shown as `***`, and then not to be taken for the secret itself.
  void readSecret(std::string_view name, std::string& out) {
    std::string given = out;
    read(name, given);
    if (!isHidden(name, given)) out = std::move(given);
  }
  void read(std::string_view name, bool& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_boolean()) refuse(path(name), "must be true or false");
    out = value->get<bool>();
  }
  void read(std::string_view name, double& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number() || !std::isfinite(value->get<double>())) refuse(path(name), "must be a number");
    out = value->get<double>();
  }
  template <class Whole>
  void readWhole(std::string_view name, Whole& out, std::uint64_t most) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() > most) {
      refuse(path(name), fmt::format("must be a whole number, 0 to {}", most));
    }
    out = static_cast<Whole>(value->get<std::uint64_t>());
  }
  /// Seconds, with a fraction.
  template <class Duration>
  void readSeconds(std::string_view name, Duration& out) {
    double seconds = std::chrono::duration<double>(out).count();
    read(name, seconds);
    if (seconds < 0 || seconds > 1e9) refuse(path(name), "must be 0 to 1000000000 seconds");
    out = std::chrono::duration_cast<Duration>(std::chrono::milliseconds(std::llround(seconds * 1'000)));
  }
  void read(std::string_view name, std::vector<std::string>& out) {
    const json* value = find(name);
    if (value == nullptr) return;
    if (value->is_null()) return out.clear();
    const auto isText = [](const json& each) { return each.is_string(); };
    if (!value->is_array() || !std::all_of(value->begin(), value->end(), isText)) {
      refuse(path(name), "must be an array of strings");
    }
    out = value->get<std::vector<std::string>>();
  }
  template <class Enum>
  void readEnum(std::string_view name, Enum& out, std::initializer_list<Enum> values) {
    const json* value = find(name);
    if (value == nullptr) return;
    std::string all;
    for (const Enum each : values) {
      if (value->is_string() && value->get_ref<const std::string&>() == toString(each)) {
        out = each;
        return;
      }
      all += fmt::format("{}\"{}\"", all.empty() ? "" : ", ", toString(each));
    }
    refuse(path(name), "must be one of " + all);
  }

 private:
  const json& object_;
  const std::string where_;
  std::vector<std::string> known_;
};

void readDialect(Members& in, Dialect& out) {
  const json* value = in.find("dialect");
  if (value == nullptr) return;
  const std::string name = value->is_string() ? value->get<std::string>() : "";
  if (name == "postgresql" || name == "postgres")
    out = Dialect::postgres;
  else if (name == "mysql" || name == "mariadb")
    out = Dialect::mysql;
  else if (name == "sqlite")
    out = Dialect::sqlite;
  else
    refuse(in.path("dialect"), "must be one of \"postgresql\", \"mysql\", \"sqlite\"");
}

void readSource(const json& tree, JobSource& source) {
  Members in(tree, "source");
  readDialect(in, source.dialect);
  in.readSecret("dsn", source.dsn);
  in.read("host", source.host);
  in.readWhole("port", source.port, 65'535);
  in.read("user", source.user);
  in.readSecret("password", source.password);
  in.read("database", source.database);
  if (const json* tls = in.find("tls"); tls != nullptr && tls->is_null()) {
    source.tls.reset();
  } else if (tls != nullptr) {
    JobTls mode = JobTls::off;
    in.readEnum("tls", mode, {JobTls::off, JobTls::verifyFull, JobTls::verifyCa, JobTls::requireUnverified});
    source.tls = mode;
  }
  in.read("ca_file", source.caFile);
  in.read("cert_file", source.certFile);
  in.read("key_file", source.keyFile);
  in.refuseUnknown();
}

}  // namespace job_reader

void readJob(const nlohmann::json& tree, ReplicationJob& job) {
  constexpr std::uint64_t kMost = 1'000'000'000;
  job_reader::Members in(tree, "");
  in.read("name", job.name);
  if (const auto* source = in.find("source")) job_reader::readSource(*source, job.source);
  in.read("table_name", job.table);
  in.read("tracking_col", job.trackingColumn);
  in.readEnum("tracking_type", job.trackingType, {TrackingType::timestamp, TrackingType::id});
  in.read("cron_tab", job.cron);
  in.read("time_zone", job.timeZone);
  in.read("target_table", job.target);
  in.read("columns", job.columns);
  in.read("primary_key", job.primaryKey);
  in.readWhole("batch_size", job.batchSize, kMost);
  in.readWhole("page_cap", job.pageCap, kMost);
  in.readEnum("mode", job.mode, {JobMode::incremental, JobMode::diff, JobMode::cdc});
  in.readSeconds("lookback", job.lookback);
  in.readWhole("lookback_rows", job.lookbackRows, kMost);
  in.read("commit_horizon", job.commitHorizon);
  in.readSeconds("delete_check", job.deleteCheck);
  in.read("max_delete_fraction", job.maxDeleteFraction);
  in.readEnum("catch_up", job.catchUp, {CatchUp::run, CatchUp::skip});
  in.refuseUnknown();
}

}  // namespace tidegate::detail
