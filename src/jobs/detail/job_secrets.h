/// The secrets that a source's description holds, each in every form in which a message may repeat it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tidegate/jobs/job_source.h"

namespace tidegate::detail {

/// The password, and those of the DSN as they stand there and as a server sees them; the longest first.
std::vector<std::string> secretsOf(const JobSource& source);

/// A message without the source's secrets, should a driver or a server have repeated them.
std::string withoutSecrets(std::string_view message, const JobSource& source);

}  // namespace tidegate::detail
