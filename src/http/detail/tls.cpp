#include "http/detail/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>

#include "tidegate/core/error.h"

namespace tidegate::http::detail {
namespace {

/// OpenSSL's first reason, and its queue emptied: it is the thread's, and the next call would find it.
std::string takeTlsReason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return reason ? reason : "unknown reason";
}

[[noreturn]] void badTlsFile(const char* what, const std::string& file) {
  throw Error(ErrorCode::invalidConfig, Retry::afterOperator,
              std::string(what) + " \"" + file + "\" cannot be used: " + takeTlsReason());
}

int selectHttp11(SSL*, const unsigned char** out, unsigned char* outLength, const unsigned char* in, unsigned inLength,
                 void*) {
  static constexpr std::array<unsigned char, 9> kOurs = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  const int result = SSL_select_next_proto(&chosen, outLength, kOurs.data(), kOurs.size(), in, inLength);
  *out = chosen;
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

}  // namespace

std::shared_ptr<SSL_CTX> serverTls(const TlsFiles& files) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) throw std::bad_alloc();
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_alpn_select_cb(context.get(), selectHttp11, nullptr);
  // Without a context id, resumption with client certificates fails.
  static constexpr std::string_view kContextId = "tidegate";
  SSL_CTX_set_session_id_context(context.get(), reinterpret_cast<const unsigned char*>(kContextId.data()),
                                 static_cast<unsigned>(kContextId.size()));
  if (SSL_CTX_use_certificate_chain_file(context.get(), files.certificate.c_str()) != 1) {
    badTlsFile("TLS certificate", files.certificate);
  }
  if (SSL_CTX_use_PrivateKey_file(context.get(), files.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    badTlsFile("TLS key", files.key);
  }
  if (SSL_CTX_check_private_key(context.get()) != 1) badTlsFile("TLS key (of another certificate?)", files.key);
  if (!files.clientAuthority.empty()) {
    if (SSL_CTX_load_verify_locations(context.get(), files.clientAuthority.c_str(), nullptr) != 1) {
      badTlsFile("TLS client authority", files.clientAuthority);
    }
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

TlsSession::TlsSession(SSL_CTX& context) : ssl_(SSL_new(&context)) {
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  if (!ssl_ || !in || !out) {
    BIO_free(in);
    BIO_free(out);
    throw std::bad_alloc();
  }
  SSL_set_bio(ssl_.get(), in, out);
  SSL_set_accept_state(ssl_.get());
}

bool TlsSession::feed(std::string_view cipher) {
  return BIO_write(SSL_get_rbio(ssl_.get()), cipher.data(), static_cast<int>(cipher.size())) ==
         static_cast<int>(cipher.size());
}

TlsSession::Read TlsSession::read(char* to, std::size_t& size) {
  ERR_clear_error();
  std::size_t got = 0;
  const int result = SSL_read_ex(ssl_.get(), to, size, &got);
  size = got;
  if (result == 1) return Read::data;
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
      return Read::more;
    case SSL_ERROR_ZERO_RETURN:
      return Read::closed;
    default:
      ERR_clear_error();
      return Read::failed;
  }
}

std::size_t TlsSession::write(std::string_view plain) {
  ERR_clear_error();
  std::size_t taken = 0;
  if (SSL_write_ex(ssl_.get(), plain.data(), plain.size(), &taken) != 1) return 0;
  return taken;
}

void TlsSession::closeNotify() {
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
}

std::size_t TlsSession::takeOutput(std::string& out) {
  char* data = nullptr;
  BIO* bio = SSL_get_wbio(ssl_.get());
  const long size = BIO_get_mem_data(bio, &data);
  if (size <= 0) return 0;
  out.append(data, static_cast<std::size_t>(size));
  static_cast<void>(BIO_reset(bio));
  return static_cast<std::size_t>(size);
}

}  // namespace tidegate::http::detail
