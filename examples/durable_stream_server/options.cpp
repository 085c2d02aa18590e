#include "options.h"

#include <CLI/CLI.hpp>

std::optional<int> parseSettings(ServerSettings& s, int argc, char** argv) {
  CLI::App app("A Durable Streams server: append-only streams over HTTP, read as they grow. Ctrl-C stops it.");
  app.add_option("--address", s.address, "Numeric address to listen on")->capture_default_str();
  app.add_option("--port", s.port, "Port; 0: any free one, printed at the start")->capture_default_str();
  auto* folder =
      app.add_option("--dir", s.folder, "Folder of the streams; made where there is none")->capture_default_str();
  app.add_flag("--memory", s.memory, "Keep streams in memory alone")->excludes(folder);
  auto* token = app.add_option("--token", s.token, "Bearer token that every request must carry")
                    ->envname("DURABLE_STREAMS_TOKEN");
  app.add_option("--token-file", s.tokenFile, "File that holds the token")->check(CLI::ExistingFile)->excludes(token);
  app.add_option("--public-url", s.publicUrl,
                 "Scheme and authority that clients see, e.g. https://streams.example.org");
  app.add_option("--base-path", s.basePath, "Where streams live")->capture_default_str();
  auto* certificate = app.add_option("--tls-certificate", s.certificate, "PEM file, leaf first; without it plain HTTP");
  app.add_option("--tls-key", s.key, "PEM file")->needs(certificate);
  app.add_option("--cors", s.origins, "Origin whose pages may call, or *; may be repeated");
  app.add_option("--threads", s.threads, "Threads that serve HTTP")->capture_default_str()->check(CLI::Range(1, 64));
  app.add_option("--max-body", s.maxBodyBytes, "Octets of one append at most")->capture_default_str();
  app.add_option("--long-poll-seconds", s.longPollSeconds, "How long a long poll waits")
      ->capture_default_str()
      ->check(CLI::Range(1, 300));
  app.add_flag("--local-webhooks", s.localWebhooks, "Allow webhooks to http://localhost, for development");
  app.add_flag("--access-log", s.accessLog, "Write a line for each request");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  return std::nullopt;
}
