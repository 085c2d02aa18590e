/// A page for operators at `/`: sources and their lag, pipelines, jobs and their runs, and changes as they happen.
///
///     addStatusPage(api);   // beside addJobsApi, addEngineApi and addChangeFeed, whose routes it calls
///
/// The page itself is three constant files and holds no datum, so it is served to anyone. Every datum comes from routes
/// for admins: the token is typed in the page, kept in the tab's sessionStorage alone, and sent as
/// `Authorization: Bearer`. It loads nothing from elsewhere, and its Content-Security-Policy lets it not.
#pragma once

#include "tidegate/server/api.h"

namespace tidegate::server {

/// Adds `GET /`, `/status.js` and `/status.css`.
void addStatusPage(Api& api);
/// Adds `GET /openapi.json`: the document of all operations of `api`, those added later included. It names routes and
/// no data, so it is served to anyone.
/// @param api must outlive the handlers made of it.
void addOpenApiDocument(Api& api);

}  // namespace tidegate::server
