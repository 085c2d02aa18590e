/// Where webhooks may go, and which paths a pattern means.
#pragma once

#include <string>
#include <string_view>

namespace tidegate::durable_streams::detail {

/// Why a URL is refused (section 12.8): empty where it is not. Only https to public hosts; with `local`, also http to
/// localhost and 127.0.0.x.
std::string webhookUrlProblem(std::string_view url, bool local);

/// "*" is one segment, "**" any number of them, none included.
bool globMatches(std::string_view pattern, std::string_view path);

/// Without slashes at its ends.
std::string trimSlashes(std::string_view path);

}  // namespace tidegate::durable_streams::detail
