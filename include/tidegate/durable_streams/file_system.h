/// What a file store needs of a file system: small enough that a test can stand in for a disk that tears writes and
/// forgets what was not synced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tidegate::durable_streams {

/// One open file. Closed when destroyed.
/// @thread `read` any; the rest one at a time.
class File {
 public:
  virtual ~File() = default;
  /// Fills `into` with `size` octets from `at`. @return how many there were: less only at the file's end.
  /// @throws Error{storeUnavailable} naming the file.
  virtual std::size_t read(std::uint64_t at, char* into, std::size_t size) const = 0;
  /// Writes all of it. @throws Error{storeUnavailable} naming the file.
  virtual void write(std::uint64_t at, std::string_view octets) = 0;
  /// Returns once content and size are on stable storage. @throws Error{storeUnavailable} naming the file.
  virtual void sync() = 0;
  virtual void truncate(std::uint64_t size) = 0;
  virtual std::uint64_t size() const = 0;
};

/// One folder of files.
/// @thread One at a time.
class FileSystem {
 public:
  virtual ~FileSystem() = default;
  /// Makes the folder where there is none, and keeps other processes out of it until this object is destroyed.
  /// @throws Error{storeUnavailable} naming the folder, also where another process has it.
  virtual void openFolder() = 0;
  virtual std::vector<std::string> list() = 0;
  /// @param create makes it, empty, where there is none. @throws Error{storeUnavailable}.
  virtual std::unique_ptr<File> open(const std::string& name, bool create) = 0;
  virtual void remove(const std::string& name) = 0;
  /// Returns once the names in the folder are on stable storage.
  virtual void syncFolder() = 0;
  /// For messages: where a file of that name is.
  virtual std::string pathOf(const std::string& name) const = 0;
};

/// The system's, in `folder`. Files and folder are made for their owner alone (0600, 0700).
std::unique_ptr<FileSystem> systemFileSystem(std::string folder);

}  // namespace tidegate::durable_streams
