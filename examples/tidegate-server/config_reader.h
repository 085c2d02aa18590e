/// Reading the members of a JSON file, each mistake with its place.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "config.h"
#include "places.h"

/// Reads members, and notes what is wrong instead of ending at it.
class ConfigReader {
 public:
  ConfigReader(const std::string& text, std::vector<Mistake>& mistakes)
      : text_(text), places_(placesOf(text)), mistakes_(mistakes) {
    // A parser takes the last one, and whoever reads the file may take the first.
    for (const auto& [path, at] : places_.repeated) wrongAt(at, path, "is there twice; take one out");
  }

  void wrong(const std::string& path, const std::string& why) {
    const auto found = places_.offsets.find(path);
    wrongAt(found == places_.offsets.end() ? 0 : found->second, path, why);
  }
  /// Whether `node` is an object; members beside `known` are mistakes.
  bool object(const nlohmann::json& node, const std::string& path, const std::set<std::string>& known) {
    if (!node.is_object()) return wrong(path, "must be an object, {…}"), false;
    for (const auto& [name, value] : node.items()) {
      if (!known.contains(name)) {
        wrong(path + "/" + name,
              fmt::format("is not known here; take it out, or use one of: {}", fmt::join(known, ", ")));
      }
    }
    return true;
  }
  void text(const nlohmann::json& node, const std::string& path, const char* name, std::string& out) {
    if (!node.contains(name)) return;
    if (!node[name].is_string()) return wrong(path + "/" + name, "must be a text, in quotes");
    out = node[name].get<std::string>();
  }
  void number(const nlohmann::json& node, const std::string& path, const char* name, std::uint64_t low,
              std::uint64_t high, std::uint64_t& out) {
    if (!node.contains(name)) return;
    const nlohmann::json& value = node[name];
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() < low || value.get<std::uint64_t>() > high) {
      return wrong(path + "/" + name, fmt::format("must be a whole number from {} to {}", low, high));
    }
    out = value.get<std::uint64_t>();
  }
  void flag(const nlohmann::json& node, const std::string& path, const char* name, bool& out) {
    if (!node.contains(name)) return;
    if (!node[name].is_boolean()) return wrong(path + "/" + name, "must be true or false");
    out = node[name].get<bool>();
  }
  void texts(const nlohmann::json& node, const std::string& path, const char* name, std::vector<std::string>& out) {
    each(node, path, name, [&](const nlohmann::json& item, const std::string& at) {
      if (!item.is_string() || item.get<std::string>().empty()) return wrong(at, "must be a text that is not empty");
      out.push_back(item.get<std::string>());
    });
  }
  template <class Work>
  void each(const nlohmann::json& node, const std::string& path, const char* name, const Work& work) {
    if (!node.contains(name)) return;
    const std::string at = path + "/" + name;
    if (!node[name].is_array()) return wrong(at, "must be a list, […]");
    for (std::size_t i = 0; i < node[name].size(); ++i) work(node[name][i], fmt::format("{}/{}", at, i));
  }
  /// A secret is never in the file itself.
  void secret(const nlohmann::json& node, const std::string& path, const char* name, std::string& out) {
    std::string named;
    text(node, path, name, named);
    const std::string at = path + "/" + name;
    if (named.empty()) return;
    if (named.starts_with("env:")) {
      const char* value = std::getenv(named.c_str() + 4);
      if (value == nullptr || *value == '\0')
        return wrong(at, "the environment has no " + named.substr(4) + ": set it");
      out = value;
    } else if (named.starts_with("file:")) {
      std::ifstream file(named.substr(5));
      out.assign(std::istreambuf_iterator<char>(file), {});
      while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
      if (out.empty()) wrong(at, "the file " + named.substr(5) + " cannot be read, or is empty");
    } else {
      wrong(at, "secrets are not written here: use \"env:NAME\" or \"file:PATH\"");
    }
  }
  std::size_t mistakes() const { return mistakes_.size(); }
  void needed(bool there, const std::string& path, const std::string& what) {
    if (!there) wrong(path, what);
  }

 private:
  void wrongAt(std::size_t offset, const std::string& path, const std::string& why) {
    const auto [line, column] = lineAndColumn(text_, offset);
    mistakes_.push_back({line, column, (path.empty() ? "the file" : path) + ": " + why});
  }

  const std::string& text_;
  Places places_;
  std::vector<Mistake>& mistakes_;
};

inline bool isName(const std::string& text) {
  return !text.empty() && text.size() <= 64 &&
         text.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") ==
             std::string::npos;
}

/// What is found only by trying what was read.
void tryOut(const nlohmann::json& root, ConfigReader& reader, const ServerConfig& out);
/// One of "engines". @param at its place.
void readEngine(const nlohmann::json& item, const std::string& at, ConfigReader& reader, ServerConfig& out);
