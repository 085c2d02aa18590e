/// Plain, gzip or zstd, by its first octets: pieces in, pieces out.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tidegate::kinesis::detail {

/// @thread One at a time.
class Inflater {
 public:
  using Take = std::function<void(std::string_view piece)>;
  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Memory stays bounded, whatever a piece unpacks to. @throws Error{parseError} for what is damaged.
  void push(std::string_view piece, const Take& take);
  /// The end of the data. @throws Error{parseError} where the packed data is not whole.
  void finish(const Take& take);

 private:
  enum class Form { unknown, plain, gzip, zstd };
  struct Unpackers;
  void begin(const Take& take);
  void pushGzip(std::string_view piece, const Take& take);
  void pushZstd(std::string_view piece, const Take& take);

  Form form_ = Form::unknown;
  std::string head_;  ///< while the form is unknown
  std::unique_ptr<Unpackers> unpackers_;
};

}  // namespace tidegate::kinesis::detail
