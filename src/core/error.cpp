#include "tidegate/core/error.h"

namespace tidegate {

std::string_view toString(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::invalidArgument:
      return "invalidArgument";
    case ErrorCode::invalidConfig:
      return "invalidConfig";
    case ErrorCode::parseError:
      return "parseError";
    case ErrorCode::clockDrift:
      return "clockDrift";
    case ErrorCode::backPressure:
      return "backPressure";
    case ErrorCode::storeUnavailable:
      return "storeUnavailable";
    case ErrorCode::storeCorrupt:
      return "storeCorrupt";
    case ErrorCode::connectionFailed:
      return "connectionFailed";
    case ErrorCode::authenticationFailed:
      return "authenticationFailed";
    case ErrorCode::permissionDenied:
      return "permissionDenied";
    case ErrorCode::queryFailed:
      return "queryFailed";
    case ErrorCode::queryCancelled:
      return "queryCancelled";
    case ErrorCode::tableNotFound:
      return "tableNotFound";
    case ErrorCode::columnNotFound:
      return "columnNotFound";
    case ErrorCode::rowIdInvalid:
      return "rowIdInvalid";
    case ErrorCode::typeUnsupported:
      return "typeUnsupported";
    case ErrorCode::diffRefused:
      return "diffRefused";
    case ErrorCode::noReplicaIdentity:
      return "noReplicaIdentity";
    case ErrorCode::slotInvalid:
      return "slotInvalid";
    case ErrorCode::positionLost:
      return "positionLost";
    case ErrorCode::logDiverged:
      return "logDiverged";
    case ErrorCode::fenced:
      return "fenced";
    case ErrorCode::stopped:
      return "stopped";
    case ErrorCode::internal:
      return "internal";
  }
  return "unknown";
}

std::string_view toString(Retry retry) noexcept {
  switch (retry) {
    case Retry::never:
      return "never";
    case Retry::later:
      return "later";
    case Retry::afterOperator:
      return "afterOperator";
    case Retry::outcomeUnknown:
      return "outcomeUnknown";
  }
  return "unknown";
}

Error::Error(ErrorCode code, Retry retry, const std::string& message)
    : std::runtime_error(std::string(toString(code)) + ": " + message), code_(code), retry_(retry), message_(message) {}

}  // namespace tidegate
