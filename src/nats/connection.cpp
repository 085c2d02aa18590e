#include "nats/detail/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <utility>

namespace tidegate::nats::detail {
namespace {

constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kMostPause{500};
/// For the thread of cnats that tells of the connection's end.
constexpr std::chrono::seconds kClosing{5};

struct OptionsDeleter {
  void operator()(natsOptions* options) const noexcept { natsOptions_Destroy(options); }
};

/// The text of the thread's last failure in cnats. Other texts of cnats name functions, this one causes.
std::string lastCause() {
  const char* text = nats_GetLastError(nullptr);
  return text == nullptr ? "" : text;
}

void requireOption(natsStatus status, const char* which) {
  if (status == NATS_OK) return;
  throw Error(ErrorCode::invalidConfig, Retry::never,
              fmt::format("nats: option {} was refused: {}", which, redactSecrets(lastCause())));
}

std::string serversText(const ConnectOptions& options) {
  std::string text;
  for (const std::string& server : options.servers) text += (text.empty() ? "" : ", ") + server;
  return redactSecrets(text);
}

void checkOptions(const ConnectOptions& options) {
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorCode::invalidConfig, Retry::never, "nats: " + why);
  };
  if (options.servers.empty()) refuse("it needs at least one server");
  const int logins = (options.credentialsFile.empty() ? 0 : 1) + (options.nkey.empty() ? 0 : 1) +
                     (options.token.empty() ? 0 : 1) + (options.user.empty() ? 0 : 1);
  if (logins > 1) refuse("give one of credentialsFile, nkey with nkeySeedFile, token, and user with password");
  if (options.user.empty() && !options.password.empty()) refuse("a password needs a user");
  if (options.nkey.empty() != options.nkeySeedFile.empty()) refuse("nkey and nkeySeedFile go together");
  if (options.tls.certificateFile.empty() != options.tls.keyFile.empty()) {
    refuse("tls.certificateFile and tls.keyFile go together");
  }
  if (options.connectTimeout.count() < 1 || options.requestTimeout.count() < 1 || options.retryFor.count() < 0) {
    refuse("connectTimeout and requestTimeout must be at least 1 ms, retryFor at least 0");
  }
  // cnats opens some of them only when it connects, and then does not say which it missed.
  const std::pair<const char*, const std::string&> files[] = {{"credentialsFile", options.credentialsFile},
                                                              {"nkeySeedFile", options.nkeySeedFile},
                                                              {"tls.authorityFile", options.tls.authorityFile},
                                                              {"tls.certificateFile", options.tls.certificateFile},
                                                              {"tls.keyFile", options.tls.keyFile}};
  for (const auto& [option, path] : files) {
    if (path.empty() || std::ifstream(path).good()) continue;
    refuse(fmt::format("{} \"{}\" cannot be read: give the path of a file that this process may read", option, path));
  }
}

/// What to look at where the servers refused the login.
std::string loginRemedy(const ConnectOptions& options) {
  if (!options.credentialsFile.empty())
    return fmt::format("check that credentialsFile \"{}\" is of an account of these servers and was not revoked",
                       options.credentialsFile);
  if (!options.nkey.empty())
    return fmt::format("check that the servers know nkey {} and that nkeySeedFile \"{}\" is its seed", options.nkey,
                       options.nkeySeedFile);
  if (!options.token.empty()) return "check token";
  if (!options.user.empty()) return fmt::format("check the password of user \"{}\"", options.user);
  return "give user and password, token, nkey or credentialsFile, or check the user and password in the URL";
}

/// What to look at where TLS failed. Texts are OpenSSL's.
std::string tlsRemedy(const ConnectOptions& options, std::string_view cause) {
  const TlsOptions& tls = options.tls;
  const auto says = [&](std::string_view text) { return cause.find(text) != std::string_view::npos; };
  if (says("ostname") || says("IP address mismatch"))
    return fmt::format("the server's certificate is not of the name it was asked under: set tls.hostname{}",
                       tls.hostname.empty() ? "" : fmt::format(" (now \"{}\")", tls.hostname));
  // "20:unable to get local issuer certificate", "18:self-signed certificate" and the like.
  if (says("verify failed") || says("issuer") || says("self-signed") || says("self signed") || says("expired"))
    return tls.authorityFile.empty()
               ? "the server's certificate is of no authority of the system: set tls.authorityFile to its authority's"
               : fmt::format(
                     "tls.authorityFile \"{}\" has not the authority that signed the server's certificate, or "
                     "that is not of the name it was asked under (tls.hostname)",
                     tls.authorityFile);
  if (tls.certificateFile.empty()) return "the servers may want a certificate: set tls.certificateFile and tls.keyFile";
  return fmt::format("check that tls.certificateFile \"{}\" is signed by an authority that the servers know",
                     tls.certificateFile);
}

}  // namespace

std::string_view bodyOf(const natsMsg* msg) {
  const char* data = natsMsg_GetData(msg);
  return data == nullptr ? std::string_view()
                         : std::string_view(data, static_cast<std::size_t>(natsMsg_GetDataLength(msg)));
}

std::string_view headerOf(natsMsg* msg, const char* name) {
  const char* value = nullptr;
  return natsMsgHeader_Get(msg, name, &value) == NATS_OK && value != nullptr ? value : std::string_view();
}

std::string_view statusOf(natsMsg* msg) { return natsMsg_GetDataLength(msg) > 0 ? "" : headerOf(msg, "Status"); }

Msg makeMsg(const std::string& subject, const char* reply, const std::vector<Header>& headers, std::string_view body) {
  natsMsg* made = nullptr;
  natsStatus status = natsMsg_Create(&made, subject.c_str(), reply, body.data(), static_cast<int>(body.size()));
  Msg msg(made);
  for (const Header& header : headers) {
    if (status == NATS_OK) status = natsMsgHeader_Set(made, header.name, header.value.c_str());
  }
  if (status != NATS_OK) throwStatus(status, Effect::none, fmt::format("making a message for \"{}\"", subject));
  return msg;
}

void throwStatus(natsStatus status, Effect effect, const std::string& what, std::string_view text) {
  const Retry unknown = effect == Effect::possible ? Retry::outcomeUnknown : Retry::later;
  const auto message = [&](const char* remedy) {
    return fmt::format("nats: {}: {}{}{}{}", what, natsStatus_GetText(status), text.empty() ? "" : ": ",
                       redactSecrets(text), remedy);
  };
  switch (status) {
    case NATS_NO_RESPONDERS:
      throw Error(ErrorCode::connectionFailed, Retry::later,
                  message("; nobody is responsible: a leader is being elected, or JetStream is not enabled"));
    case NATS_CONNECTION_AUTH_FAILED:
      throw Error(ErrorCode::authenticationFailed, Retry::afterOperator, message("; check user, token or credentials"));
    case NATS_NOT_PERMITTED:
      throw Error(ErrorCode::permissionDenied, Retry::afterOperator, message("; grant the subject to this user"));
    case NATS_SSL_ERROR:
    case NATS_SECURE_CONNECTION_REQUIRED:
    case NATS_SECURE_CONNECTION_WANTED:
      throw Error(ErrorCode::authenticationFailed, Retry::afterOperator, message("; check the TLS options"));
    case NATS_MAX_PAYLOAD:
      throw Error(ErrorCode::invalidArgument, Retry::never, message("; raise the servers' max_payload"));
    case NATS_NO_SERVER:
      throw Error(ErrorCode::connectionFailed, Retry::later, message("; is a nats-server running there?"));
    case NATS_TIMEOUT:
    case NATS_CONNECTION_CLOSED:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_STALE_CONNECTION:
    case NATS_IO_ERROR:
    case NATS_INVALID_SUBSCRIPTION:
    case NATS_SLOW_CONSUMER:
    case NATS_INSUFFICIENT_BUFFER:
    case NATS_PROTOCOL_ERROR:
    case NATS_SYS_ERROR:
      throw Error(ErrorCode::connectionFailed, unknown, message(""));
    default:
      throw Error(ErrorCode::queryFailed, Retry::never, message(""));
  }
}

void throwConnectFailure(const ConnectOptions& options, natsStatus status, const std::string& cause) {
  const std::string what = fmt::format("connecting to {}", serversText(options));
  const auto refuse = [&](const std::string& remedy) {
    throw Error(ErrorCode::authenticationFailed, Retry::afterOperator,
                fmt::format("nats: {}: {}; {}", what, redactSecrets(cause.empty() ? natsStatus_GetText(status) : cause),
                            remedy));
  };
  const auto says = [&](std::string_view text) { return cause.find(text) != std::string::npos; };
  if (status == NATS_CONNECTION_AUTH_FAILED || says("uthoriz") || says("uthent")) refuse(loginRemedy(options));
  if (status == NATS_SECURE_CONNECTION_REQUIRED) refuse("the servers want TLS: set tls.required");
  if (status == NATS_SECURE_CONNECTION_WANTED)
    refuse("the servers have no TLS: unset tls.required, or configure it there");
  // By TLS 1.3 a server that dislikes a client's certificate says so after the handshake, by hanging up; one that dies
  // just then does the same.
  const bool secure = options.tls.required || what.find("tls://") != std::string::npos;
  const bool hungUp = says("Expected 'PONG'") || says("SSL_read") || says("SSL_write") || status == NATS_IO_ERROR ||
                      status == NATS_CONNECTION_CLOSED;
  if (secure && hungUp) {
    throw Error(ErrorCode::connectionFailed, Retry::later,
                fmt::format("nats: {}: the server hung up right after TLS was made; if it does so again, {}", what,
                            tlsRemedy(options, {})));
  }
  if (status == NATS_SSL_ERROR || says("SSL")) refuse(tlsRemedy(options, cause));
  throwStatus(status, Effect::none, what, cause);
}

void endSubscription(natsConnection* connection, natsSubscription* sub) noexcept {
  if (sub == nullptr) return;
  // The reading thread of cnats 3.4 takes a message's subscription out of its table and then locks it, without keeping
  // it alive in between. Once it has read the answer to a ping, it is past every message of a subscription that it does
  // not find any more. Where the connection is broken, it reads no more.
  natsSubscription_Unsubscribe(sub);
  natsConnection_FlushTimeout(connection, kClosing.count() * 1'000);
  natsSubscription_Destroy(sub);
}

Msg Subscription::next(std::chrono::milliseconds timeout) {
  natsMsg* msg = nullptr;
  const auto wait = std::max<std::int64_t>(timeout.count(), 1);
  const natsStatus status = natsSubscription_NextMsg(&msg, sub_, wait);
  if (status != NATS_OK && status != NATS_TIMEOUT) throwStatus(status, Effect::none, "waiting for messages");
  return Msg(msg);
}

Connection::Connection(const ConnectOptions& options, Behaviour behaviour)
    : options_(options), onReconnect_(behaviour.onReconnect), sendsAtOnce_(behaviour.sendsAtOnce) {
  checkOptions(options_);
  natsOptions* made = nullptr;
  requireOption(natsOptions_Create(&made), "memory");
  const std::unique_ptr<natsOptions, OptionsDeleter> owned(made);
  configure(made, behaviour);
  const natsStatus status = natsConnection_Connect(&connection_, made);
  if (status == NATS_OK) return;
  throwConnectFailure(options_, status, lastCause());
}

Connection::~Connection() {
  if (connection_ == nullptr) return;
  natsConnection_Close(connection_);
  {
    // Its last callback refers to us.
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kClosing, [this] { return closed_; });
  }
  natsConnection_Destroy(connection_);
}

void Connection::configure(natsOptions* made, const Behaviour& behaviour) {
  std::vector<const char*> servers;
  for (const std::string& server : options_.servers) servers.push_back(server.c_str());
  requireOption(natsOptions_SetServers(made, servers.data(), static_cast<int>(servers.size())), "servers");
  if (!options_.user.empty()) {
    requireOption(natsOptions_SetUserInfo(made, options_.user.c_str(), options_.password.c_str()), "user");
  }
  if (!options_.token.empty()) requireOption(natsOptions_SetToken(made, options_.token.c_str()), "token");
  if (!options_.credentialsFile.empty()) {
    requireOption(natsOptions_SetUserCredentialsFromFiles(made, options_.credentialsFile.c_str(), nullptr),
                  "credentialsFile");
  }
  if (!options_.nkey.empty()) {
    requireOption(natsOptions_SetNKeyFromSeed(made, options_.nkey.c_str(), options_.nkeySeedFile.c_str()), "nkey");
  }
  const TlsOptions& tls = options_.tls;
  if (tls.required) requireOption(natsOptions_SetSecure(made, true), "tls.required");
  if (!tls.authorityFile.empty()) {
    requireOption(natsOptions_LoadCATrustedCertificates(made, tls.authorityFile.c_str()), "tls.authorityFile");
  }
  if (!tls.certificateFile.empty()) {
    requireOption(natsOptions_LoadCertificatesChain(made, tls.certificateFile.c_str(), tls.keyFile.c_str()),
                  "tls.certificateFile");
  }
  if (!tls.hostname.empty()) requireOption(natsOptions_SetExpectedHostname(made, tls.hostname.c_str()), "tls.hostname");
  requireOption(natsOptions_SetName(made, options_.name.c_str()), "name");
  requireOption(natsOptions_SetTimeout(made, options_.connectTimeout.count()), "connectTimeout");
  requireOption(natsOptions_SetAllowReconnect(made, behaviour.reconnects), "reconnects");
  requireOption(natsOptions_SetSendAsap(made, behaviour.sendsAtOnce), "sending");
  requireOption(natsOptions_SetMaxReconnect(made, -1), "reconnects");
  requireOption(natsOptions_SetReconnectWait(made, 50), "reconnects");
  requireOption(natsOptions_SetReconnectJitter(made, 50, 50), "reconnects");
  requireOption(natsOptions_SetFailRequestsOnDisconnect(made, true), "reconnects");
  requireOption(natsOptions_SetPingInterval(made, 5'000), "ping");
  requireOption(natsOptions_SetErrorHandler(made, &Connection::onError, this), "handlers");
  requireOption(natsOptions_SetReconnectedCB(made, &Connection::onReconnected, this), "handlers");
  requireOption(natsOptions_SetClosedCB(made, &Connection::onClosed, this), "handlers");
}

void Connection::onError(natsConnection* nc, natsSubscription* /*sub*/, natsStatus status, void* self) {
  auto* connection = static_cast<Connection*>(self);
  const char* text = nullptr;
  natsConnection_GetLastError(nc, &text);
  const std::lock_guard lock(connection->mutex_);
  connection->complaint_ = text != nullptr && *text != '\0' ? text : natsStatus_GetText(status);
  if (status == NATS_NOT_PERMITTED) connection->refusal_ = connection->complaint_;
}

void Connection::onReconnected(natsConnection* /*nc*/, void* self) {
  auto* connection = static_cast<Connection*>(self);
  ++connection->reconnected_;
  if (connection->onReconnect_) connection->onReconnect_();
}

void Connection::onClosed(natsConnection* /*nc*/, void* self) {
  auto* connection = static_cast<Connection*>(self);
  const std::lock_guard lock(connection->mutex_);
  connection->closed_ = true;
  connection->changed_.notify_all();
}

const Clock& Connection::clock() const noexcept { return options_.clock != nullptr ? *options_.clock : systemClock(); }

Scheduler& Connection::scheduler() const noexcept {
  return options_.scheduler != nullptr ? *options_.scheduler : systemScheduler();
}

std::size_t Connection::maxPayload() const {
  return static_cast<std::size_t>(std::max<std::int64_t>(natsConnection_GetMaxPayload(connection_), 1));
}

bool Connection::isUp() const { return natsConnection_Status(connection_) == NATS_CONN_STATUS_CONNECTED; }

std::string Connection::complaint() const {
  const std::lock_guard lock(mutex_);
  return complaint_;
}

void Connection::forgetComplaints() {
  const std::lock_guard lock(mutex_);
  complaint_.clear();
  refusal_.clear();
}

/// The servers say so without being asked, of any subject: `Permissions Violation for Publish to "that"`.
bool Connection::wasRefused(const std::string& subject) const {
  const std::lock_guard lock(mutex_);
  return refusal_.find('"' + subject + '"') != std::string::npos;
}

Msg Connection::request(const std::string& subject, std::string_view body, Effect effect, const std::string& what) {
  const Msg asked = makeMsg(subject, nullptr, {}, body);
  return request(asked.get(), effect, what);
}

Msg Connection::request(natsMsg* msg, Effect effect, const std::string& what) {
  natsMsg* answer = nullptr;
  forgetComplaints();
  const natsStatus status = natsConnection_RequestMsg(&answer, connection_, msg, options_.requestTimeout.count());
  Msg owned(answer);
  if (status == NATS_OK && statusOf(answer) == "503") throwStatus(NATS_NO_RESPONDERS, effect, what);
  if (status == NATS_OK) return owned;
  const bool refused = status == NATS_TIMEOUT && wasRefused(natsMsg_GetSubject(msg));
  throwStatus(refused ? NATS_NOT_PERMITTED : status, effect, what, status == NATS_TIMEOUT ? "" : complaint());
}

void Connection::publish(natsMsg* msg) {
  const natsStatus status = natsConnection_PublishMsg(connection_, msg);
  if (status != NATS_OK)
    throwStatus(status, Effect::none, fmt::format("publishing to \"{}\"", natsMsg_GetSubject(msg)));
}

void Connection::publish(const std::string& subject, const std::string& reply, std::string_view body) {
  const Msg msg = makeMsg(subject, reply.empty() ? nullptr : reply.c_str(), {}, body);
  publish(msg.get());
}

void Connection::flush() noexcept { natsConnection_FlushTimeout(connection_, options_.requestTimeout.count()); }

Subscription Connection::subscribe(const std::string& subject) {
  natsSubscription* sub = nullptr;
  natsStatus status = natsConnection_SubscribeSync(&sub, connection_, subject.c_str());
  Subscription owned(connection_, sub);
  if (status == NATS_OK) status = natsSubscription_SetPendingLimits(sub, -1, -1);
  if (status != NATS_OK) throwStatus(status, Effect::none, fmt::format("subscribing to \"{}\"", subject));
  return owned;
}

std::string Connection::freshInbox() {
  natsInbox* inbox = nullptr;
  if (natsInbox_Create(&inbox) != NATS_OK) throwStatus(NATS_NO_MEMORY, Effect::none, "making an inbox");
  const std::string text = inbox;
  natsInbox_Destroy(inbox);
  return text;
}

bool Connection::waitForRetry(std::chrono::microseconds since, unsigned tries, const std::stop_token& stop) {
  if (natsConnection_IsClosed(connection_) || clock().steadyNow() - since >= options_.retryFor) return false;
  const auto pause = std::min(kFirstPause * (1u << std::min(tries, 6u)), kMostPause);
  return scheduler().waitFor(pause, stop);
}

void Connection::patiently(const std::stop_token& stop, const std::function<void()>& work) {
  const auto since = clock().steadyNow();
  for (unsigned tries = 0;; ++tries) {
    try {
      return work();
    } catch (const Error& e) {
      const bool again = e.code() == ErrorCode::connectionFailed && e.retry() == Retry::later;
      if (!again || !waitForRetry(since, tries, stop)) throw;
    }
  }
}

}  // namespace tidegate::nats::detail
