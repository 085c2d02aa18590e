/// What we ask of S3: what an object is, and its octets as they come.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "kinesis/detail/aws_service.h"

namespace tidegate::kinesis::detail {

/// One version of one object.
struct ObjectHead {
  std::string key{};
  std::uint64_t bytes = 0;
  std::string etag{};       ///< with its quotes
  std::string versionId{};  ///< of a versioned bucket
  std::int64_t modifiedMillis = 0;
};

struct ObjectStoreOptions {
  AwsServiceOptions service{};
  std::string bucket{};
  bool pathStyle = false;
};

/// @thread One at a time.
class ObjectStore {
 public:
  /// Takes a piece. @return false: enough.
  using Take = std::function<bool(std::string_view piece)>;
  /// A transfer broke, or could not begin. Waits. @return false: stopped. Throws where it was tried often enough.
  using OnBroken = std::function<bool(const Error& why)>;

  /// @throws Error{invalidConfig} for a bucket's name or an endpoint that is none.
  explicit ObjectStore(ObjectStoreOptions options);

  /// nullopt where there is no such object. @throws AwsError
  std::optional<ObjectHead> head(http::Client& client, const std::string& key, const std::stop_token& stop);
  /// A small object, whole; nullopt where there is none. @throws AwsError, Error{parseError} over `maxBytes`
  std::optional<std::string> get(http::Client& client, const std::string& key, std::size_t maxBytes,
                                 const std::stop_token& stop, ObjectHead* head = nullptr);
  /// Streams exactly this version; a transfer that breaks goes on where it broke. @return false: `take` or `onBroken`
  /// said so. @throws AwsError{changed} where the object is another by now; what `take` throws.
  bool read(http::Client& client, const ObjectHead& object, const Take& take, const OnBroken& onBroken,
            const std::stop_token& stop);

  /// "s3://bucket/key", for messages.
  std::string nameOf(std::string_view key) const;

 private:
  struct Transfer;
  AwsRequest requestFor(std::string_view method, const std::string& key) const;
  AwsRequest readRequest(const ObjectHead& object, std::uint64_t from) const;
  /// One try. @return whether to go on.
  bool transfer(http::Client& client, Transfer& state, const std::stop_token& stop);

  std::string bucket_;
  bool pathStyle_;
  AwsService service_;
};

}  // namespace tidegate::kinesis::detail
