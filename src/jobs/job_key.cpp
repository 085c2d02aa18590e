#include "tidegate/jobs/job_key.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <optional>

#include "core/detail/octet_text.h"
#include "tidegate/core/error.h"

namespace tidegate {

struct JobKey::Octets {
  explicit Octets(std::string_view from) { std::memcpy(key.data(), from.data(), key.size()); }
  Octets(const Octets&) = delete;
  Octets& operator=(const Octets&) = delete;
  ~Octets() { OPENSSL_cleanse(key.data(), key.size()); }
  std::array<unsigned char, kBytes> key{};
};

namespace key_detail {

constexpr char kSealVersion = 1;
constexpr std::size_t kNonceBytes = 12, kTagBytes = 16;

struct CipherDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherPtr = std::unique_ptr<EVP_CIPHER_CTX, CipherDeleter>;

void requireDone(int done, const char* call) {
  if (done != 1) throw Error(ErrorCode::internal, Retry::afterOperator, std::string("OpenSSL's ") + call + " failed");
}

const unsigned char* octetsOf(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* octetsOf(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

int sizeOf(std::string_view text) {
  if (text.size() > INT_MAX / 2) throw Error(ErrorCode::invalidArgument, Retry::never, "a secret is too long");
  return static_cast<int>(text.size());
}

CipherPtr begin(bool encrypt, const unsigned char* key, const unsigned char* nonce, std::string_view context) {
  CipherPtr cipher(EVP_CIPHER_CTX_new());
  requireDone(cipher != nullptr ? 1 : 0, "EVP_CIPHER_CTX_new");
  requireDone(EVP_CipherInit_ex(cipher.get(), EVP_aes_256_gcm(), nullptr, key, nonce, encrypt ? 1 : 0),
              "EVP_CipherInit_ex");
  int unused = 0;
  requireDone(EVP_CipherUpdate(cipher.get(), nullptr, &unused, octetsOf(context), sizeOf(context)), "EVP_CipherUpdate");
  return cipher;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

Error fileFailure(const std::string& path, const char* what) {
  return {ErrorCode::storeUnavailable, Retry::afterOperator,
          fmt::format("key file {}: {}: {}", path, what, std::strerror(errno))};
}

/// @return nullopt if there is no such file.
std::optional<std::string> readKey(const std::string& path) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return std::nullopt;
    throw fileFailure(path, "cannot be read");
  }
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw fileFailure(path, "cannot be looked at");
  if ((info.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    throw Error(ErrorCode::permissionDenied, Retry::afterOperator,
                fmt::format("key file {} may be read by others: chmod 600 it", path));
  }
  std::string octets(JobKey::kBytes + 1, '\0');
  const ssize_t size = ::read(file.get(), octets.data(), octets.size());
  if (size < 0) throw fileFailure(path, "cannot be read");
  if (static_cast<std::size_t>(size) != JobKey::kBytes) {
    throw Error(ErrorCode::storeCorrupt, Retry::afterOperator,
                fmt::format("key file {} does not hold {} octets: restore it; passwords kept under another key must be "
                            "given again",
                            path, JobKey::kBytes));
  }
  octets.resize(JobKey::kBytes);
  return octets;
}

/// The file appears whole or not at all, and the first of several processes wins.
void makeKey(const std::string& path) {
  std::string octets(JobKey::kBytes, '\0');
  requireDone(RAND_bytes(octetsOf(octets), static_cast<int>(octets.size())), "RAND_bytes");
  std::string temporary = path + ".XXXXXX";
  {
    const Descriptor file(::mkstemp(temporary.data()));  // with mode 0600
    if (file.get() < 0) throw fileFailure(path, "cannot be made");
    const bool written = ::write(file.get(), octets.data(), octets.size()) == static_cast<ssize_t>(octets.size()) &&
                         ::fsync(file.get()) == 0;
    const bool linked = written && ::link(temporary.c_str(), path.c_str()) == 0;
    const int failure = errno;
    ::unlink(temporary.c_str());
    OPENSSL_cleanse(octets.data(), octets.size());
    errno = failure;
    if (!linked && (!written || failure != EEXIST)) throw fileFailure(path, "cannot be made");
  }
}

}  // namespace key_detail

JobKey JobKey::fromBytes(std::string_view octets) {
  if (octets.size() != kBytes) {
    throw Error(ErrorCode::invalidConfig, Retry::never, fmt::format("a job key has {} octets", kBytes));
  }
  return JobKey(std::make_shared<const Octets>(octets));
}

JobKey JobKey::fromFile(const std::string& path) {
  auto octets = key_detail::readKey(path);
  if (!octets) {
    key_detail::makeKey(path);
    octets = key_detail::readKey(path);
  }
  if (!octets) throw Error(ErrorCode::storeUnavailable, Retry::later, "key file " + path + " is gone again");
  JobKey key = fromBytes(*octets);
  OPENSSL_cleanse(octets->data(), octets->size());
  return key;
}

std::string JobKey::seal(std::string_view plain, std::string_view context) const {
  using namespace key_detail;
  std::string out(1 + kNonceBytes + plain.size() + kTagBytes, '\0');
  out[0] = kSealVersion;
  unsigned char* nonce = octetsOf(out) + 1;
  requireDone(RAND_bytes(nonce, kNonceBytes), "RAND_bytes");
  const CipherPtr cipher = begin(true, octets_->key.data(), nonce, context);
  unsigned char* body = nonce + kNonceBytes;
  int size = 0, rest = 0;
  requireDone(EVP_CipherUpdate(cipher.get(), body, &size, octetsOf(plain), sizeOf(plain)), "EVP_CipherUpdate");
  requireDone(EVP_CipherFinal_ex(cipher.get(), body + size, &rest), "EVP_CipherFinal_ex");
  requireDone(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, body + plain.size()),
              "EVP_CIPHER_CTX_ctrl");
  return detail::base64Of(out);
}

std::string JobKey::open(std::string_view sealed, std::string_view context) const {
  using namespace key_detail;
  const Error unreadable(ErrorCode::storeCorrupt, Retry::afterOperator,
                         "a kept secret cannot be read: the key is another one, or the store was changed; give the key "
                         "file back, or the secret again");
  std::optional<std::string> octets = detail::fromBase64(sealed);
  if (!octets || octets->size() < 1 + kNonceBytes + kTagBytes || (*octets)[0] != kSealVersion) throw unreadable;
  unsigned char* nonce = octetsOf(*octets) + 1;
  unsigned char* body = nonce + kNonceBytes;
  const std::size_t length = octets->size() - 1 - kNonceBytes - kTagBytes;
  const CipherPtr cipher = begin(false, octets_->key.data(), nonce, context);
  std::string plain(length, '\0');
  int size = 0, rest = 0;
  requireDone(EVP_CipherUpdate(cipher.get(), octetsOf(plain), &size, body, static_cast<int>(length)),
              "EVP_CipherUpdate");
  requireDone(EVP_CIPHER_CTX_ctrl(cipher.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, body + length), "EVP_CIPHER_CTX_ctrl");
  unsigned char none[16];
  if (EVP_CipherFinal_ex(cipher.get(), none, &rest) != 1) throw unreadable;
  return plain;
}

}  // namespace tidegate
