/// Engines over HTTP: how they are, and what an operator may do. docs/admin-api.md has every route.
///
///     Api api;
///     addEngineApi(api, {{.name = "shop", .engine = &engine, .deadLetters = {{"replica", letters}}}});
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "tidegate/engine/engine.h"
#include "tidegate/server/api.h"
#include "tidegate/sink/dead_letters.h"

namespace tidegate::server {

/// An engine under its name in routes.
struct AdministeredEngine {
  std::string name{};        ///< 1 to 64 of A-Z a-z 0-9 _ -; unique
  Engine* engine = nullptr;  ///< must outlive the api
  /// Where its pipelines put what failed, by pipeline. One that is not here has no dead letters to show.
  std::map<std::string, std::shared_ptr<DeadLetters>> deadLetters{};
};

/// Adds the routes, for admins alone: status, pause, resume, reload of a table, retry of an isolated pipeline, and dead
/// letters (list, replay, remove, purge).
/// @throws Error{invalidConfig} for a name that is no name or comes twice, or a missing engine.
void addEngineApi(Api& api, std::vector<AdministeredEngine> engines);

}  // namespace tidegate::server
