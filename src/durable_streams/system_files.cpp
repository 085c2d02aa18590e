#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "tidegate/core/error.h"
#include "tidegate/durable_streams/file_system.h"

namespace tidegate::durable_streams {

namespace {

[[noreturn]] void fileFailure(const std::string& what, const std::string& path, int code) {
  throw Error(ErrorCode::storeUnavailable, Retry::afterOperator,
              fmt::format("cannot {} {}: {}", what, path, std::strerror(code)));
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class SystemFile final : public File {
 public:
  SystemFile(Descriptor fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}

  std::size_t read(std::uint64_t at, char* into, std::size_t size) const override {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = ::pread(fd_.get(), into + done, size - done, static_cast<off_t>(at + done));
      if (n == 0) break;
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fileFailure("read", path_, errno);
      done += static_cast<std::size_t>(n);
    }
    return done;
  }
  void write(std::uint64_t at, std::string_view octets) override {
    while (!octets.empty()) {
      const ssize_t n = ::pwrite(fd_.get(), octets.data(), octets.size(), static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) fileFailure("write", path_, errno);
      octets.remove_prefix(static_cast<std::size_t>(n));
      at += static_cast<std::uint64_t>(n);
    }
  }
  void sync() override {
    // Never again after a failure: the kernel may have dropped what it could not write.
    if (::fdatasync(fd_.get()) != 0) fileFailure("sync", path_, errno);
  }
  void truncate(std::uint64_t size) override {
    if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) fileFailure("truncate", path_, errno);
  }
  std::uint64_t size() const override {
    struct stat status {};
    if (::fstat(fd_.get(), &status) != 0) fileFailure("look at", path_, errno);
    return static_cast<std::uint64_t>(status.st_size);
  }

 private:
  Descriptor fd_;
  std::string path_;
};

class SystemFileSystem final : public FileSystem {
 public:
  explicit SystemFileSystem(std::string folder) : folder_(std::move(folder)) {}

  void openFolder() override {
    if (::mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) fileFailure("make the folder", folder_, errno);
    Descriptor fd(::open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) fileFailure("open the folder", folder_, errno);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) {
        throw Error(ErrorCode::storeUnavailable, Retry::later,
                    fmt::format("{} is in use by another process; give each store a folder of its own", folder_));
      }
      fileFailure("lock the folder", folder_, errno);
    }
    owner_ = std::move(fd);
  }
  std::vector<std::string> list() override {
    std::vector<std::string> names;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, failure))
      names.push_back(entry.path().filename());
    if (failure) fileFailure("list the folder", folder_, failure.value());
    return names;
  }
  std::unique_ptr<File> open(const std::string& name, bool create) override {
    const std::string path = pathOf(name);
    Descriptor fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0600));
    if (fd.get() < 0) fileFailure("open", path, errno);
    return std::make_unique<SystemFile>(std::move(fd), path);
  }
  void remove(const std::string& name) override {
    const std::string path = pathOf(name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) fileFailure("remove", path, errno);
  }
  void syncFolder() override {
    if (::fsync(owner_.get()) != 0) fileFailure("sync the folder", folder_, errno);
  }
  std::string pathOf(const std::string& name) const override { return folder_ + "/" + name; }

 private:
  std::string folder_;
  Descriptor owner_{-1};
};

}  // namespace

std::unique_ptr<FileSystem> systemFileSystem(std::string folder) {
  return std::make_unique<SystemFileSystem>(std::move(folder));
}

}  // namespace tidegate::durable_streams
