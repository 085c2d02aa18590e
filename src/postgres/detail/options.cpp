#include "postgres/detail/options.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <algorithm>
#include <memory>

#include "core/detail/ca_bundle.h"
#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

[[noreturn]] void refuse(const std::string& message) {
  throw Error(ErrorCode::invalidConfig, Retry::never, "postgres::ConnectOptions: " + redactSecrets(message));
}

Keywords parseUrl(const std::string& url) {
  Keywords out;
  if (url.empty()) return out;
  char* text = nullptr;
  const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)> parsed(PQconninfoParse(url.c_str(), &text),
                                                                              PQconninfoFree);
  const std::unique_ptr<char, void (*)(void*)> reason(text, PQfreemem);
  // libpq's message may repeat a part of the url that holds the password: it is not passed on.
  if (!parsed)
    refuse("url is neither \"postgresql://user@host/db\" nor \"host=… dbname=…\"; escape special characters as %XX");
  for (const PQconninfoOption* o = parsed.get(); o->keyword != nullptr; ++o) {
    if (o->val != nullptr) out[o->keyword] = o->val;
  }
  return out;
}

TlsMode modeOf(const ConnectOptions& options, const Keywords& keywords) {
  if (options.tls) return *options.tls;
  const auto given = keywords.find("sslmode");
  if (given == keywords.end() || given->second == "disable") return TlsMode::off;
  if (given->second == "require" || given->second == "verify-full") return TlsMode::verifyFull;
  if (given->second == "verify-ca") return TlsMode::verifyCa;
  refuse(fmt::format("sslmode={} may fall back to plain text unseen; set tls to off, verifyFull or requireUnverified",
                     given->second));
}

void setTls(const ConnectOptions& options, Keywords& keywords) {
  const TlsMode mode = modeOf(options, keywords);
  if (mode == TlsMode::off) {
    if (!options.caFile.empty() || !options.certFile.empty() || !options.keyFile.empty()) {
      refuse("caFile, certFile and keyFile need TLS: set tls = TlsMode::verifyFull");
    }
    keywords["sslmode"] = "disable";
    return;
  }
  if (!options.certFile.empty()) keywords["sslcert"] = options.certFile;
  if (!options.keyFile.empty()) keywords["sslkey"] = options.keyFile;
  if (!options.caFile.empty()) keywords["sslrootcert"] = options.caFile;
  if (mode == TlsMode::requireUnverified) {
    if (keywords.count("sslrootcert") != 0)
      refuse("tls = requireUnverified verifies nothing: take away caFile, or use verifyFull");
    // With a root certificate file, be it only ~/.postgresql/root.crt, libpq would make verify-ca of it.
    keywords["sslrootcert"] = "/dev/null/none";
    keywords["sslmode"] = "require";
    return;
  }
  if (keywords.count("sslrootcert") == 0) {
    const std::string bundle = tidegate::detail::systemCaBundle();
    if (bundle.empty()) refuse("no system certificates were found: name your CA's file in caFile");
    keywords["sslrootcert"] = bundle;
  }
  keywords["sslmode"] = mode == TlsMode::verifyFull ? "verify-full" : "verify-ca";
}

void setUnlessEmpty(Keywords& keywords, const char* name, const std::string& value) {
  if (value.find('\0') != std::string::npos) refuse(fmt::format("{} holds a NUL octet", name));
  if (!value.empty()) keywords[name] = value;
}

}  // namespace

Keywords keywordsOf(const ConnectOptions& options) {
  if (options.connectTimeout.count() <= 0) refuse("connectTimeout must be positive");
  if (options.statementTimeout.count() < 0 || options.statementTimeout.count() > INT32_MAX) {
    refuse("statementTimeout must be 0 (none) to 2147483647 ms");
  }
  Keywords keywords = parseUrl(options.url);
  setUnlessEmpty(keywords, "host", options.host);
  if (!options.host.empty()) keywords.erase("hostaddr");
  setUnlessEmpty(keywords, "port", options.port != 0 ? std::to_string(options.port) : std::string());
  setUnlessEmpty(keywords, "user", options.user);
  setUnlessEmpty(keywords, "password", options.password);
  setUnlessEmpty(keywords, "dbname", options.database);
  if (keywords.count("application_name") == 0) setUnlessEmpty(keywords, "application_name", options.applicationName);
  setTls(options, keywords);
  keywords["client_encoding"] = "UTF8";
  // A peer that vanished is noticed within about a minute, also while a statement runs. What the url says wins.
  for (const auto& [name, value] : {std::pair{"keepalives_idle", "30"},
                                    {"keepalives_interval", "10"},
                                    {"keepalives_count", "3"},
                                    {"tcp_user_timeout", "60000"}}) {
    keywords.emplace(name, value);
  }
  return keywords;
}

std::array<std::pair<const char*, const char*>, 5> outputSettings() {
  return {{{"TimeZone", "UTC"},
           {"DateStyle", "ISO"},
           {"IntervalStyle", "iso_8601"},
           {"bytea_output", "hex"},
           {"extra_float_digits", "3"}}};
}

std::string whereOf(const Keywords& keywords) {
  const auto get = [&](const char* name, const char* otherwise) {
    const auto found = keywords.find(name);
    return found == keywords.end() ? std::string(otherwise) : found->second;
  };
  return fmt::format("postgres at {}:{}/{}", get("host", "(libpq's default host)"), get("port", "5432"),
                     get("dbname", ""));
}

}  // namespace tidegate::postgres::detail
