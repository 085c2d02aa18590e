/// What an engine does beside the stream: comparing, and applying dead letters again.
#include <algorithm>
#include <utility>

#include "engine/detail/engine_impl.h"
#include "engine/detail/event_json.h"
#include "engine/detail/table_verifier.h"

namespace tidegate {
namespace {

constexpr std::size_t kLettersAtOnce = 100;

}  // namespace

TableVerification Engine::Impl::verifyTable(detail::PipelineRunner& one, const std::string& table,
                                            const VerifyOptions& verifyOptions) {
  detail::Plan plan;
  Position position;
  onPipeline(one, [&] {
    plan = one.router().tables().find(table)->plan;
    position = one.place();
  });
  if (!plan) {
    throw Error(ErrorCode::tableNotFound, Retry::later,
                "table \"" + table + "\" of pipeline \"" + one.spec().name +
                    "\" has no baseline yet; verify it once the engine is ready");
  }
  detail::TableVerifier verifier({.source = *sourceOf(one).spec().source,
                                  .sink = one.sink(),
                                  .clock = clock,
                                  .scheduler = scheduler,
                                  .plan = plan,
                                  .withSink = [&](std::function<void()> run) { onPipeline(one, std::move(run)); },
                                  .apply = [&](const ChangeBatch& changes) { one.applyAside(changes); },
                                  .position = position},
                                 verifyOptions);
  TableVerification result = verifier.run();
  result.pipeline = one.spec().name;
  return result;
}

VerifyReport Engine::verify(const VerifyOptions& options) {
  if (options.chunks == 0)
    throw Error(ErrorCode::invalidArgument, Retry::never, "VerifyOptions::chunks must be positive");
  for (const std::string& name : options.pipelines) (void)impl_->pipeline(name);
  impl_->requireRunning();
  VerifyReport report;
  for (auto& one : impl_->pipelines) {
    const auto& wanted = options.pipelines;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), one->spec().name) == wanted.end()) continue;
    for (const std::string& table : one->tables()) report.tables.push_back(impl_->verifyTable(*one, table, options));
  }
  return report;
}

std::uint64_t Engine::replayDeadLetters(std::string_view name) {
  detail::PipelineRunner& one = impl_->pipeline(name);
  if (!one.spec().deadLetters) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "pipeline \"" + std::string(name) + "\" has no store of dead letters");
  }
  impl_->requireRunning();
  DeadLetters& store = *one.spec().deadLetters;
  SyncSource& source = *impl_->sourceOf(one).spec().source;
  std::uint64_t replayed = 0;
  std::uint64_t after = 0;
  for (auto letters = store.read(name, after, kLettersAtOnce); !letters.empty();
       letters = store.read(name, after, kLettersAtOnce)) {
    for (const DeadLetter& letter : letters) {
      after = letter.id;
      try {
        impl_->onPipeline(one, [&] {
          ChangeBatch changes;
          one.router().routeAlone(detail::eventFromJson(letter.event, source), changes);
          one.applyAside(changes);
        });
      } catch (const Error& e) {
        if (e.code() == ErrorCode::stopped) throw;
        continue;  // it stays where it is
      }
      store.remove(letter.id);
      ++replayed;
    }
  }
  return replayed;
}

}  // namespace tidegate
