#include "sqlite/detail/owner_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "tidegate/core/error.h"

namespace tidegate::sqlite::detail {

namespace {

/// Beside the file itself, whatever link led to it.
std::string lockPathOf(const std::string& path) {
  std::error_code failed;
  const auto real = std::filesystem::weakly_canonical(path, failed);
  return (failed ? path : real.string()) + "-owner";
}

std::string ownerIn(int descriptor) {
  char text[32];
  const ssize_t n = ::pread(descriptor, text, sizeof text, 0);
  return n > 0 ? "process " + std::string(text, static_cast<std::size_t>(n)) : "another process";
}

/// For whoever is refused; the lock holds without it.
void writeOwner(int descriptor) {
  const std::string text = std::to_string(::getpid());
  if (::ftruncate(descriptor, 0) != 0) return;
  if (::pwrite(descriptor, text.data(), text.size(), 0) < 0) return;
}

}  // namespace

OwnerLock::OwnerLock(std::string_view what, const std::string& path, std::chrono::milliseconds timeout) {
  const std::string lockPath = lockPathOf(path);
  descriptor_ = ::open(lockPath.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor_ < 0) {
    throw Error(ErrorCode::storeUnavailable, Retry::afterOperator,
                fmt::format("{} {}: cannot make {}: {}; its folder must exist and be writable", what, path, lockPath,
                            std::strerror(errno)));
  }
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if ((errno == EWOULDBLOCK || errno == EINTR) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    const std::string why = errno == EWOULDBLOCK ? "in use by " + ownerIn(descriptor_) : std::strerror(errno);
    ::close(descriptor_);
    throw Error(ErrorCode::storeUnavailable, Retry::later,
                fmt::format("{} {}: {}; one file has one owner", what, path, why));
  }
  writeOwner(descriptor_);
}

OwnerLock::~OwnerLock() { ::close(descriptor_); }

}  // namespace tidegate::sqlite::detail
