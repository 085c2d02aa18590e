/// The web page: three files, and where its streams are.
#pragma once

#include <string>

#include "tidegate/http/server.h"

/// Adds "/", "/app.js", "/style.css" and "/config.json".
/// @param streamUrl base of the streams as the browser reaches them; a path where the page's own server has them.
void addPage(tidegate::http::Router& router, const std::string& streamUrl);
