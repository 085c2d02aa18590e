// What clients and gateways have to end with.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "client.h"
#include "replica.h"
#include "tidegate/core/query.h"

using Clients = std::vector<std::unique_ptr<Client>>;

struct Truth {
  std::map<std::string, Replica::Rows> orders;  ///< PostgreSQL's, by region
  std::set<std::string> notes;                  ///< that a gateway has acknowledged
  std::size_t orderCount = 0;
};

Truth truthOf(const tidegate::QueryFn& postgres, const Clients& clients);

/// What is wrong with a client, or nothing: it holds its region's orders, and every acknowledged note once.
std::string faultOf(const Client& client, const Truth& truth);

/// Reads every gateway's whole log, for each region. @return which gateway says something else than the first one, or
/// differs from the truth; or nothing.
std::string gatewaysDiffer(const std::vector<std::string>& gateways, const Truth& truth);
