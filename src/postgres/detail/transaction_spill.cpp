#include "postgres/detail/transaction_spill.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {
namespace {

/// Before each message: its length and who did it.
struct Head {
  std::uint32_t size;
  std::uint32_t subXid;
};

constexpr std::size_t kReadAhead = 256u << 10;

Error failed(const char* what, const std::string& directory, int error) {
  return Error(
      ErrorCode::storeUnavailable, Retry::later,
      fmt::format("cannot {} a file in {} for a large transaction: {}. Free space there, name another folder in "
                  "SourceOptions::spillDirectory, or raise spillMemoryBytes",
                  what, directory, std::strerror(error)));
}

std::string directoryOf(const std::string& given) {
  if (!given.empty()) return given;
  const char* temporary = std::getenv("TMPDIR");
  return temporary != nullptr && *temporary != '\0' ? temporary : "/tmp";
}

int openUnnamed(const std::string& directory) {
  const int fd = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)) return fd;
  std::string name = directory + "/tidegate-spill-XXXXXX";  // a file system without unnamed files
  const int named = mkostemp(name.data(), O_CLOEXEC);
  if (named >= 0) unlink(name.c_str());
  return named;
}

/// Takes whole messages from the front of `octets`. @return octets taken.
std::size_t visitAll(std::string_view octets, const std::unordered_set<std::uint32_t>& undone,
                     const std::function<void(std::string_view)>& visit) {
  std::size_t at = 0;
  while (octets.size() - at >= sizeof(Head)) {
    Head head;
    std::memcpy(&head, octets.data() + at, sizeof head);
    if (octets.size() - at - sizeof head < head.size) break;
    if (undone.count(head.subXid) == 0) visit(octets.substr(at + sizeof head, head.size));
    at += sizeof head + head.size;
  }
  return at;
}

void visitFile(const SpillFile& file, const std::unordered_set<std::uint32_t>& undone,
               const std::function<void(std::string_view)>& visit) {
  std::string buffer(kReadAhead, '\0');
  std::size_t held = 0;
  for (std::uint64_t at = 0; at < file.size();) {
    if (held == buffer.size()) buffer.resize(buffer.size() * 2);  // a message larger than what was read ahead
    const std::size_t read = file.read(at, buffer.data() + held, buffer.size() - held);
    if (read == 0) break;
    at += read;
    held += read;
    const std::size_t taken = visitAll({buffer.data(), held}, undone, visit);
    std::memmove(buffer.data(), buffer.data() + taken, held - taken);
    held -= taken;
  }
}

}  // namespace

SpillFile::SpillFile(const std::string& directory) : directory_(directoryOf(directory)), fd_(openUnnamed(directory_)) {
  if (fd_ < 0) throw failed("make", directory_, errno);
}

SpillFile::~SpillFile() { close(fd_); }

void SpillFile::append(std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t written = write(fd_, octets.data(), octets.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw failed("write", directory_, written == 0 ? ENOSPC : errno);
    size_ += static_cast<std::uint64_t>(written);
    octets.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::size_t SpillFile::read(std::uint64_t at, char* out, std::size_t size) const {
  for (;;) {
    const ssize_t got = pread(fd_, out, size, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw failed("read", directory_, errno);
    return static_cast<std::size_t>(got);
  }
}

void TransactionSpill::append(std::uint32_t xid, std::uint32_t subXid, std::string_view octets) {
  Running& running = running_[xid];
  const Head head{static_cast<std::uint32_t>(octets.size()), subXid};
  running.memory.append(reinterpret_cast<const char*>(&head), sizeof head);
  running.memory.append(octets);
  bytesInMemory_ += sizeof head + octets.size();
  while (bytesInMemory_ > options_.memoryBytes) spillLargest();
}

void TransactionSpill::spillLargest() {
  const auto largest = std::max_element(running_.begin(), running_.end(), [](const auto& a, const auto& b) {
    return a.second.memory.size() < b.second.memory.size();
  });
  Running& running = largest->second;
  if (!running.file) running.file = std::make_unique<SpillFile>(options_.directory);
  running.file->append(running.memory);
  bytesInMemory_ -= running.memory.size();
  std::string().swap(running.memory);
}

void TransactionSpill::abort(std::uint32_t xid, std::uint32_t subXid) {
  if (subXid == xid) return forget(xid);
  const auto found = running_.find(xid);
  if (found != running_.end()) found->second.undone.insert(subXid);
}

void TransactionSpill::replay(std::uint32_t xid, const std::function<void(std::string_view)>& visit) const {
  const auto found = running_.find(xid);
  if (found == running_.end()) return;
  const Running& running = found->second;
  if (running.file) visitFile(*running.file, running.undone, visit);
  visitAll(running.memory, running.undone, visit);
}

void TransactionSpill::forget(std::uint32_t xid) {
  const auto found = running_.find(xid);
  if (found == running_.end()) return;
  bytesInMemory_ -= found->second.memory.size();
  running_.erase(found);
}

void TransactionSpill::clear() {
  running_.clear();
  bytesInMemory_ = 0;
}

std::uint64_t TransactionSpill::bytesInFiles() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& [xid, running] : running_) sum += running.file ? running.file->size() : 0;
  return sum;
}

}  // namespace tidegate::postgres::detail
