#include "jobs/detail/job_checkpoint.h"

#include <nlohmann/json.hpp>

#include "core/detail/octet_text.h"

namespace tidegate::detail {

std::string encodeCheckpoint(const JobCheckpoint& checkpoint) {
  nlohmann::ordered_json tree;
  tree["job"] = 1;  // the format's version
  tree["generation"] = checkpoint.generation;
  tree["config"] = checkpoint.config;
  tree["columns"] = checkpoint.columns;
  tree["state"] = base64Of(checkpoint.state);
  return tree.dump();
}

std::optional<JobCheckpoint> decodeCheckpoint(std::string_view text) {
  const auto tree = nlohmann::json::parse(text, nullptr, false);
  if (!tree.is_object()) return std::nullopt;
  try {
    if (tree.at("job").get<int>() != 1) return std::nullopt;
    JobCheckpoint out;
    out.generation = tree.at("generation").get<std::uint64_t>();
    out.config = tree.at("config").get<std::uint64_t>();
    out.columns = tree.at("columns").get<std::vector<std::string>>();
    auto state = fromBase64(tree.at("state").get_ref<const std::string&>());
    if (!state) return std::nullopt;
    out.state = std::move(*state);
    return out;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

}  // namespace tidegate::detail
