#include "http/detail/transfer.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>

#include "http/detail/public_address.h"
#include "http/detail/text.h"

namespace tidegate::http::detail {
namespace {

constexpr unsigned kRedirects = 5;
constexpr long kReadBuffer = 128l << 10;

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

Url parseUrl(const std::string& text) {
  Url url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) return nullptr;
  return url;
}

std::string urlPart(const Url& url, CURLUPart part, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url.get(), part, &text, flags) != CURLUE_OK) return {};
  std::string out(text);
  curl_free(text);
  return out;
}

bool isHttpUrl(const Url& url) {
  if (!url) return false;
  const std::string scheme = urlPart(url, CURLUPART_SCHEME);
  return scheme == "http" || scheme == "https";
}

std::string originOf(const Url& url) {
  return urlPart(url, CURLUPART_SCHEME) + "://" + urlPart(url, CURLUPART_HOST) + ":" +
         urlPart(url, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

/// The transfer was ended by a callback of ours, whose reason is kept beside.
constexpr bool isOurs(CURLcode result) noexcept {
  return result == CURLE_WRITE_ERROR || result == CURLE_ABORTED_BY_CALLBACK;
}

bool isDistrust(CURLcode result) noexcept {
  static constexpr std::array<CURLcode, 5> kCodes = {CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM,
                                                     CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
                                                     CURLE_SSL_INVALIDCERTSTATUS};
  return std::find(kCodes.begin(), kCodes.end(), result) != kCodes.end();
}

}  // namespace

bool isSafe(std::string_view method) noexcept { return method == "GET" || method == "HEAD" || method == "OPTIONS"; }

Transfer::Transfer(const ClientOptions& options, ClientRequest request, Callbacks callbacks)
    : options_(options), request_(std::move(request)), callbacks_(std::move(callbacks)) {
  if (!isHttpUrl(parseUrl(request_.url))) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "\"" + redactSecrets(request_.url) + "\" is no http or https URL");
  }
  const auto malformed = [](const Headers::Field& field) {
    return !isToken(field.first) || !isFieldValue(field.second);
  };
  if (!isToken(request_.method) || std::any_of(request_.headers.begin(), request_.headers.end(), malformed)) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "the method or a header field of " + name() + " is malformed");
  }
}

std::string Transfer::name() const { return request_.method + " " + redactSecrets(request_.url); }

void Transfer::prepare(Easy easy) {
  easy_ = std::move(easy);
  CURL* handle = easy_.get();
  headWhole_ = redirecting_ = addressRefused_ = held_ = false;
  response_ = {};
  sent_ = 0;
  heard_ = std::chrono::steady_clock::now();
  curl_easy_setopt(handle, CURLOPT_URL, request_.url.c_str());
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION,
                   static_cast<long>(request_.http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(handle, CURLOPT_PRIVATE, this);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, message_);
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1l);
  curl_easy_setopt(handle, CURLOPT_TCP_KEEPALIVE, 1l);
  curl_easy_setopt(handle, CURLOPT_BUFFERSIZE, kReadBuffer);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connectTimeout.count()));
  curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.timeout.count()));
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, &Transfer::onHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, &Transfer::onBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(handle, CURLOPT_PREREQFUNCTION, &Transfer::onSend);
  curl_easy_setopt(handle, CURLOPT_PREREQDATA, this);
  setTls();
  setAddresses();
  setMethod();
  setFields();
}

void Transfer::setTls() {
  curl_easy_setopt(easy_.get(), CURLOPT_SSL_VERIFYPEER, options_.verifyTls ? 1l : 0l);
  curl_easy_setopt(easy_.get(), CURLOPT_SSL_VERIFYHOST, options_.verifyTls ? 2l : 0l);
  if (!options_.authorityFile.empty()) curl_easy_setopt(easy_.get(), CURLOPT_CAINFO, options_.authorityFile.c_str());
}

/// The address is judged where the socket for it is made: no second look-up can come between.
void Transfer::setAddresses() {
  if (!options_.publicAddressesOnly) return;
  curl_easy_setopt(easy_.get(), CURLOPT_OPENSOCKETFUNCTION, &Transfer::onSocket);
  curl_easy_setopt(easy_.get(), CURLOPT_OPENSOCKETDATA, this);
  curl_easy_setopt(easy_.get(), CURLOPT_PROXY, "");
}

curl_socket_t Transfer::onSocket(void* self, curlsocktype, curl_sockaddr* address) noexcept {
  if (!isPublicAddress(&address->addr, address->addrlen)) {
    static_cast<Transfer*>(self)->addressRefused_ = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void Transfer::setMethod() {
  CURL* handle = easy_.get();
  if (request_.method == "HEAD") {
    curl_easy_setopt(handle, CURLOPT_NOBODY, 1l);
    return;
  }
  // POST and PUT say "Content-Length: 0" where they have no body.
  if (!request_.body.empty() || request_.method == "POST" || request_.method == "PUT" || request_.method == "PATCH") {
    curl_easy_setopt(handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.body.size()));
    curl_easy_setopt(handle, CURLOPT_POSTFIELDS, request_.body.data());
  }
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
}

void Transfer::setFields() {
  curl_slist* list = nullptr;
  const auto append = [&list](const std::string& line) {
    curl_slist* longer = curl_slist_append(list, line.c_str());
    if (longer) list = longer;
  };
  // An empty value is written with ';': "name:" would remove the field.
  const auto add = [&](const Headers::Field& field) {
    append(field.second.empty() ? field.first + ";" : field.first + ": " + field.second);
  };
  for (const auto& field : request_.headers) add(field);
  for (const auto& field : options_.headers) {
    if (!request_.headers.has(field.first)) add(field);
  }
  // What libcurl would say by itself: a form, and to wait for "100 Continue".
  if (!request_.headers.has("content-type") && !options_.headers.has("content-type")) append("Content-Type:");
  if (!request_.headers.has("expect")) append("Expect:");
  fields_.reset(list);
  curl_easy_setopt(easy_.get(), CURLOPT_HTTPHEADER, list);
  if (!request_.headers.has("user-agent") && !options_.headers.has("user-agent")) {
    curl_easy_setopt(easy_.get(), CURLOPT_USERAGENT, options_.userAgent.c_str());
  }
  const bool ownCoding = request_.headers.has("accept-encoding") || options_.headers.has("accept-encoding");
  if (options_.acceptCompressed && !ownCoding) curl_easy_setopt(easy_.get(), CURLOPT_ACCEPT_ENCODING, "");
}

/// Nothing may be thrown through libcurl: it is kept, and thrown again behind it.
template <class Call>
bool Transfer::guarded(Call&& call) noexcept {
  try {
    heard_ = std::chrono::steady_clock::now();
    return call();
  } catch (...) {
    thrown_ = std::current_exception();
    return false;
  }
}

std::size_t Transfer::onHeader(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  const std::size_t octets = size * count;
  return transfer->guarded([&] { return transfer->header({data, octets}); }) ? octets : 0;
}

std::size_t Transfer::onBody(char* data, std::size_t size, std::size_t count, void* self) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  const std::size_t octets = size * count;
  return transfer->guarded([&] { return transfer->body({data, octets}); }) ? octets : 0;
}

/// libcurl sends a request again by itself where a kept connection dies before it answers. The server may have done
/// what it was asked by then, so only what may be done twice passes here twice.
int Transfer::onSend(void* self, char*, char*, int, int) noexcept {
  auto* transfer = static_cast<Transfer*>(self);
  const bool twice = isSafe(transfer->request_.method) || transfer->request_.repeatable;
  return transfer->sent_++ == 0 || twice ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT;
}

bool Transfer::header(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  if (headWhole_) return !ending();  // trailers
  if (line.starts_with("HTTP/")) {
    response_ = {};
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    response_.status = static_cast<int>(status);
    return !ending();
  }
  if (line.empty()) return response_.status < 200 || headDone();
  const std::size_t colon = std::min(line.find(':'), line.size());
  response_.headers.add(std::string(line.substr(0, colon)),
                        std::string(trimmed(line.substr(std::min(line.size(), colon + 1)))));
  return !ending();
}

bool Transfer::headDone() {
  headWhole_ = true;
  redirecting_ = redirectTarget().has_value();
  if (ending()) return false;
  if (redirecting_ || !callbacks_.onHead || callbacks_.onHead(response_)) return !ending();
  endWith(Error(ErrorCode::queryCancelled, Retry::later, name() + " was ended by its caller"));
  return false;
}

bool Transfer::body(std::string_view piece) {
  if (ending()) return false;
  if (redirecting_) return true;
  if (callbacks_.onData) {
    if (callbacks_.onData(piece)) return !ending();
    endWith(Error(ErrorCode::queryCancelled, Retry::later, name() + " was ended by its caller"));
    return false;
  }
  if (response_.body.size() + piece.size() > request_.maxBodyBytes) {
    endWith(Error(ErrorCode::parseError, Retry::never,
                  "the answer to " + name() + " is larger than " + std::to_string(request_.maxBodyBytes) +
                      " bytes; raise maxBodyBytes, or stream it"));
    return false;
  }
  response_.body.append(piece);
  return true;
}

void Transfer::endWith(Error error) {
  if (!error_) error_ = std::move(error);
}

bool Transfer::hold(bool held) {
  if (held == held_ || !easy_) return false;
  held_ = held;
  if (held) curl_easy_pause(easy_.get(), CURLPAUSE_RECV);
  return !held;
}

void Transfer::letGo() {
  if (held_ || !easy_) return;
  heard_ = std::chrono::steady_clock::now();
  if (curl_easy_pause(easy_.get(), CURLPAUSE_CONT) == CURLE_OK) return;
  endWith(Error(ErrorCode::queryCancelled, Retry::later, name() + " was ended by its caller"));
}

std::optional<std::chrono::steady_clock::time_point> Transfer::silentUntil() const {
  if (held_) return std::nullopt;
  if (request_.idleTimeout.count() <= 0) return std::nullopt;
  return heard_ + request_.idleTimeout;
}

void Transfer::silent() {
  const bool unknown = sent_ > 0 && !isSafe(request_.method);
  endWith(Error(ErrorCode::connectionFailed, unknown ? Retry::outcomeUnknown : Retry::later,
                name() + ": the server was silent for " + std::to_string(request_.idleTimeout.count()) + " ms"));
}

/// Where a redirect leads, if it is one to follow: within the origin, not too often.
std::optional<std::string> Transfer::redirectTarget() const {
  static constexpr std::array<int, 5> kStatuses = {301, 302, 303, 307, 308};
  if (!options_.followRedirects || redirects_ == kRedirects) return std::nullopt;
  if (std::find(kStatuses.begin(), kStatuses.end(), response_.status) == kStatuses.end()) return std::nullopt;
  const std::string* location = response_.headers.find("location");
  if (!location) return std::nullopt;
  const Url from = parseUrl(request_.url);
  const Url to = parseUrl(request_.url);
  if (!to || curl_url_set(to.get(), CURLUPART_URL, location->c_str(), 0) != CURLUE_OK) return std::nullopt;
  if (originOf(from) != originOf(to)) return std::nullopt;
  return urlPart(to, CURLUPART_URL);
}

bool Transfer::redirects() {
  if (!redirecting_ || ending() || thrown_) return false;
  auto target = redirectTarget();
  if (!target) return false;
  ++redirects_;
  request_.url = *std::move(target);
  const bool becomesGet = response_.status == 303 || (response_.status <= 302 && request_.method == "POST");
  if (becomesGet && request_.method != "HEAD") {
    request_.method = "GET";
    request_.body.clear();
    request_.headers.remove("content-type");
  }
  return true;
}

Error Transfer::failure(CURLcode result) const {
  const char* said = message_[0] != '\0' ? message_ : curl_easy_strerror(result);
  const std::string text = name() + ": " + redactSecrets(said);
  if (addressRefused_ && sent_ == 0) {
    return Error(ErrorCode::permissionDenied, Retry::never,
                 name() + ": the host's address is in a local network, which is not allowed here");
  }
  if (isDistrust(result)) {
    return Error(ErrorCode::authenticationFailed, Retry::afterOperator,
                 text + "; check the server's certificate, its name, and authorityFile");
  }
  if (isOurs(result) && sent_ > 1) {
    return Error(ErrorCode::connectionFailed, Retry::outcomeUnknown,
                 name() + ": the connection broke before an answer came, and the request is not one to repeat");
  }
  const bool unknown = sent_ > 0 && !isSafe(request_.method);
  return Error(ErrorCode::connectionFailed, unknown ? Retry::outcomeUnknown : Retry::later, text);
}

Outcome Transfer::outcome(CURLcode result) {
  Outcome out;
  if (error_) {
    out.error = error_;
  } else if (thrown_) {
    out.error = Error(ErrorCode::queryCancelled, Retry::later, name() + " was ended by an exception of its caller");
  } else if (result != CURLE_OK) {
    out.error = failure(result);
  } else {
    out.response = std::move(response_);
  }
  return out;
}

}  // namespace tidegate::http::detail
