#include "tidegate/engine/engine.h"

#include <algorithm>
#include <future>
#include <optional>
#include <random>
#include <set>

#include "engine/detail/engine_impl.h"

namespace tidegate {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::invalidConfig, Retry::never, why); }

void checkSources(const EngineOptions& options) {
  std::set<std::string> names;
  std::set<const SyncSource*> objects;
  for (const SourceSpec& source : options.sources) {
    if (source.name.empty()) refuse("a source needs a name");
    if (!names.insert(source.name).second) refuse("two sources are called \"" + source.name + "\"");
    if (!source.source) refuse("source \"" + source.name + "\" has no SyncSource");
    if (!objects.insert(source.source.get()).second)
      refuse("source \"" + source.name + "\" is used under another name too");
  }
}

void checkPipeline(const PipelineSpec& pipeline, const EngineOptions& options) {
  const std::string name = "pipeline \"" + pipeline.name + "\"";
  const bool known = std::any_of(options.sources.begin(), options.sources.end(),
                                 [&](const SourceSpec& source) { return source.name == pipeline.source; });
  if (!known) refuse(name + " names source \"" + pipeline.source + "\", which is not there");
  if (!pipeline.sink) refuse(name + " has no sink");
  if (pipeline.tables.empty()) refuse(name + " has no tables");
  if (pipeline.onFailure == FailurePolicy::deadLetter && !pipeline.deadLetters) {
    refuse(name + " sends failures to dead letters but has no store for them: set deadLetters");
  }
  if (pipeline.maxQueuedBytes == 0 || pipeline.maxQueuedEvents == 0 || pipeline.commitEvents == 0 ||
      pipeline.commitBytes == 0) {
    refuse(name + ": maxQueuedBytes, maxQueuedEvents, commitEvents and commitBytes must be positive");
  }
}

void checkPipelines(const EngineOptions& options) {
  std::set<std::string> names;
  std::set<const Sink*> sinks;
  for (const PipelineSpec& pipeline : options.pipelines) {
    if (pipeline.name.empty()) refuse("a pipeline needs a name");
    if (!names.insert(pipeline.name).second) refuse("two pipelines are called \"" + pipeline.name + "\"");
    checkPipeline(pipeline, options);
    if (!sinks.insert(pipeline.sink.get()).second) {
      refuse("pipeline \"" + pipeline.name + "\" shares its sink with another; give each a sink of its own");
    }
  }
  for (const SourceSpec& source : options.sources) {
    const bool used = std::any_of(options.pipelines.begin(), options.pipelines.end(),
                                  [&](const PipelineSpec& pipeline) { return pipeline.source == source.name; });
    if (!used) refuse("source \"" + source.name + "\" has no pipeline");
  }
}

/// What sinks have to bear, because nothing else keeps a change from being applied twice.
void checkIdempotence(const EngineOptions& options) {
  for (const PipelineSpec& pipeline : options.pipelines) {
    const SinkTraits traits = pipeline.sink->traits();
    if (traits.idempotent) continue;
    const auto source = std::find_if(options.sources.begin(), options.sources.end(),
                                     [&](const SourceSpec& s) { return s.name == pipeline.source; });
    const std::string name = "the sink of pipeline \"" + pipeline.name + "\" cannot take a change twice, ";
    if (!traits.keepsCheckpoints) refuse(name + "and keeps no checkpoints: a restart would repeat changes");
    // Without one order of all positions, what is read again after a reload or beside another pipeline cannot be told
    // from what is new.
    if (source->source->orderingGuarantee() != OrderingGuarantee::total) {
      refuse(name + "and its source has no total order to tell what came before");
    }
  }
}

std::uint64_t seedOf(std::uint64_t given) {
  if (given != 0) return given;
  std::random_device device;
  return (std::uint64_t{device()} << 32) | device();
}

}  // namespace

Engine::Impl::Impl(EngineOptions given)
    : options(std::move(given)),
      clock(options.clock != nullptr ? *options.clock : systemClock()),
      scheduler(options.scheduler != nullptr ? *options.scheduler : systemScheduler()),
      inlineScheduler(scheduler),
      observer(options.observer ? options.observer : logObserver()) {
  checkSources(options);
  checkPipelines(options);
  checkIdempotence(options);
  std::mt19937_64 seeds(seedOf(options.jitterSeed));
  for (const SourceSpec& spec : options.sources) {
    SourceSlot slot;
    const auto sharing = std::count_if(options.pipelines.begin(), options.pipelines.end(),
                                       [&](const PipelineSpec& p) { return p.source == spec.name; });
    slot.acks = std::make_unique<detail::AckTracker>(
        *spec.source, clock, *observer,
        detail::AckTracker::Options{spec.name, options.ackInterval, static_cast<std::size_t>(sharing)});
    slot.runner = std::make_unique<detail::SourceRunner>(
        spec, pool,
        detail::SourceRunner::Parts{.clock = clock,
                                    .scheduler = inlineScheduler,
                                    .observer = *observer,
                                    .acks = *slot.acks,
                                    .seed = seeds(),
                                    .haltEverything =
                                        [this](const Error& error) {
                                          for (SourceSlot& other : sources) other.runner->halt(error, false);
                                        },
                                    .mendEverything = [this] { mendSources(); }});
    sources.push_back(std::move(slot));
  }
  for (const PipelineSpec& spec : options.pipelines) {
    const auto at = std::find_if(sources.begin(), sources.end(),
                                 [&](const SourceSlot& slot) { return slot.runner->spec().name == spec.source; });
    const auto index = static_cast<std::size_t>(std::count_if(
        pipelines.begin(), pipelines.end(), [&](const auto& other) { return other->spec().source == spec.source; }));
    pipelines.push_back(std::make_unique<detail::PipelineRunner>(
        spec, detail::PipelineRunner::Parts{*at->runner->spec().source, clock, scheduler, *observer, pool, *at->acks,
                                            index, *at->runner, options.ackInterval, seeds()}));
    at->runner->add(*pipelines.back());
  }
  dues.resize(pipelines.size());
}

void Engine::Impl::mendSources() {
  for (SourceSlot& slot : sources) slot.runner->mend();
}

detail::PipelineRunner& Engine::Impl::pipeline(std::string_view name) {
  for (const auto& one : pipelines) {
    if (one->spec().name == name) return *one;
  }
  throw Error(ErrorCode::invalidArgument, Retry::never, "there is no pipeline \"" + std::string(name) + "\"");
}

detail::SourceRunner& Engine::Impl::sourceOf(const detail::PipelineRunner& one) {
  const auto at = std::find_if(sources.begin(), sources.end(),
                               [&](const SourceSlot& slot) { return slot.runner->spec().name == one.spec().source; });
  return *at->runner;
}

void Engine::Impl::requireRunning() const {
  if (!opened || stopped) throw Error(ErrorCode::stopped, Retry::afterOperator, "the engine is not running; start it");
}

void Engine::Impl::onPipeline(detail::PipelineRunner& one, std::function<void()> run) {
  requireRunning();
  // A failure goes over in its parts: what two threads hold of an exception is freed by whichever is last, in a way
  // that ThreadSanitizer does not see.
  using Outcome = std::optional<Error>;
  auto done = std::make_shared<std::promise<Outcome>>();
  std::future<Outcome> future = done->get_future();
  one.link().post({.needsSink = true, .run = [done, run = std::move(run)] {
                     try {
                       run();
                       done->set_value(std::nullopt);
                     } catch (const Error& e) {
                       done->set_value(e);
                     } catch (const std::exception& e) {
                       done->set_value(Error(ErrorCode::queryFailed, Retry::later, redactSecrets(e.what())));
                     }
                   }});
  done.reset();
  if (!threaded) pump();
  while (future.wait_for(threaded ? std::chrono::milliseconds(50) : std::chrono::milliseconds(0)) !=
         std::future_status::ready) {
    if (const auto error = one.stoppedBy()) throw Error(*error);
    if (!threaded) {
      throw Error(ErrorCode::stopped, Retry::later,
                  "pipeline \"" + one.spec().name + "\" is busy or its sink fails; call runInline and try again");
    }
  }
  Outcome failure;
  try {
    failure = future.get();
  } catch (const std::future_error&) {
    throw Error(ErrorCode::stopped, Retry::afterOperator, "the engine was stopped meanwhile");
  }
  if (failure) throw Error(failure->code(), failure->retry(), failure->message());
}

Engine::Engine(EngineOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

Engine::~Engine() { impl_->stop(std::chrono::seconds(5)); }

void Engine::start() {
  const std::lock_guard lock(impl_->lifeMutex);
  if (impl_->stopped) throw Error(ErrorCode::stopped, Retry::never, "this engine was stopped; make a new one");
  if (impl_->running) return;
  if (impl_->opened) {
    throw Error(ErrorCode::invalidArgument, Retry::never, "this engine runs inline; start does not go with runInline");
  }
  impl_->openAll();
  impl_->startThreads();
}

bool Engine::awaitReady(std::chrono::milliseconds timeout) {
  const auto until = impl_->clock.steadyNow() + timeout;
  std::stop_source never;
  for (;;) {
    bool ready = impl_->opened;
    for (const auto& slot : impl_->sources) {
      if (const auto error = slot.runner->haltedBy()) throw Error(*error);
    }
    for (const auto& one : impl_->pipelines) {
      if (const auto error = one->stoppedBy()) throw Error(*error);
      ready = ready && one->link().whole();
    }
    if (ready) return true;
    const auto now = impl_->clock.steadyNow();
    if (now >= until || impl_->stopped) return false;
    impl_->scheduler.waitFor(std::min<std::chrono::microseconds>(until - now, std::chrono::milliseconds(2)),
                             never.get_token());
  }
}

void Engine::pause() {
  impl_->paused = true;
  for (auto& slot : impl_->sources) slot.runner->pause();
}

void Engine::resume() {
  impl_->paused = false;
  for (auto& slot : impl_->sources) slot.runner->resume();
}

void Engine::reload(std::string_view pipeline, std::string_view table) {
  detail::PipelineRunner& one = impl_->pipeline(pipeline);
  const auto& routes = one.spec().tables;
  std::optional<std::string> name;
  for (std::size_t i = 0; i < one.tables().size(); ++i) {
    if (one.tables()[i] == table || routes[i].table == table) name = one.tables()[i];
  }
  if (!name) {
    throw Error(ErrorCode::invalidArgument, Retry::never,
                "pipeline \"" + std::string(pipeline) + "\" has no table \"" + std::string(table) +
                    "\", or the engine was not started");
  }
  one.link().force({*name});
  one.retryIsolated();
  impl_->mendSources();
  impl_->sourceOf(one).restart();
}

void Engine::retryIsolated(std::string_view pipeline) {
  detail::PipelineRunner& one = impl_->pipeline(pipeline);
  one.retryIsolated();
  impl_->mendSources();
}

StopOutcome Engine::stop(std::chrono::milliseconds deadline) { return impl_->stop(deadline); }

EngineStatus Engine::status() const {
  EngineStatus status;
  status.running = impl_->running;
  status.paused = impl_->paused;
  status.ready = impl_->opened;
  for (const auto& slot : impl_->sources) status.sources.push_back(slot.runner->status());
  for (const auto& one : impl_->pipelines) {
    status.pipelines.push_back(one->status());
    status.ready = status.ready && one->link().whole();
  }
  return status;
}

void Engine::runInline(std::stop_token stop) { impl_->runInline(stop); }

}  // namespace tidegate
