/// An Error with what the server said, for the few places that must tell one refusal from another.
#pragma once

#include <libpq-fe.h>

#include <string>

#include "tidegate/core/error.h"

namespace tidegate::postgres::detail {

/// Leaves the driver only where its code and message already say what to do.
class ServerError : public Error {
 public:
  ServerError(const Error& meaning, std::string sqlState) : Error(meaning), sqlState_(std::move(sqlState)) {}
  /// Five characters; empty where the server said nothing.
  const std::string& sqlState() const noexcept { return sqlState_; }

 private:
  std::string sqlState_;
};

}  // namespace tidegate::postgres::detail
