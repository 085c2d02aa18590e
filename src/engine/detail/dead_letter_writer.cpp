#include "engine/detail/dead_letter_writer.h"

#include <algorithm>

#include "engine/detail/event_json.h"
#include "tidegate/source/sync_source.h"

namespace tidegate::detail {
namespace {

constexpr std::size_t kLettersAtOnce = 100;

}  // namespace

/// A stamp that is the same whenever the change comes again. Positions tell changes apart; rows of a baseline may share
/// one, and so have their key in it.
std::string DeadLetterWriter::nameOf(const Piece& piece, std::uint32_t origin, const ChangeEvent& event) const {
  std::string name = source_.positionToText(event.position);
  if (event.op == ChangeOp::read) return name + " " + event.shape->schema.table + " " + describeKey(event);
  std::size_t same = 0;
  for (std::uint32_t i = origin; i > 0 && piece.positionOf(i - 1) == event.position; --i) ++same;
  return same == 0 ? name : name + " +" + std::to_string(same);
}

DeadLetterWriter::Change DeadLetterWriter::describe(const Piece& piece, std::uint32_t origin) const {
  const ChangeEvent event = piece.original(origin);
  Change change;
  change.name = nameOf(piece, origin, event);
  // A row of a baseline comes once in it: when its unit is durable it is behind us.
  if (event.op != ChangeOp::read) change.position = event.position;
  change.row = event.op == ChangeOp::insert || event.op == ChangeOp::update || event.op == ChangeOp::erase ||
               event.op == ChangeOp::read;
  if (!change.row) return change;
  change.letter = {.pipeline = spec_.name,
                   .table = event.shape->schema.table,
                   .key = describeKey(event),
                   .positionText = change.name,
                   .event = eventJson(event, source_),
                   .failedMicros = clock_.wallNow().count()};
  return change;
}

bool DeadLetterWriter::leftOut(const Piece& piece, std::uint32_t origin) const {
  return !left_.empty() && left_.contains(nameOf(piece, origin, piece.original(origin)));
}

void DeadLetterWriter::suspect(const Piece& piece, std::uint32_t origin) { suspect_ = {&piece, origin}; }

void DeadLetterWriter::acquit(const Piece& piece, std::uint32_t origin, bool commitMayBlame) {
  suspect_.reset();
  if (!commitMayBlame)
    incomplete_ = true;
  else if (applied_.empty() || applied_.back() != std::make_pair(&piece, origin))
    applied_.emplace_back(&piece, origin);
}

void DeadLetterWriter::acquitAll() {
  suspect_.reset();
  applied_.clear();
  incomplete_ = false;
}

void DeadLetterWriter::piecesGone() {
  suspect_.reset();
  applied_.clear();
  incomplete_ = true;
}

bool DeadLetterWriter::canBlame() const {
  if (suspect_) return describe(*suspect_->first, suspect_->second).row;
  if (incomplete_ || applied_.empty()) return false;
  return std::any_of(applied_.begin(), applied_.end(),
                     [this](const auto& at) { return describe(*at.first, at.second).row; });
}

std::vector<DeadLetter> DeadLetterWriter::write(const Error& error) {
  auto guilty = applied_;
  if (suspect_) guilty = {*suspect_};
  std::vector<DeadLetter> letters;
  for (const auto& [piece, origin] : guilty) {
    Change change = describe(*piece, origin);
    if (!change.row) continue;
    change.letter.error = redactSecrets(error.what());
    change.letter.attempts = spec_.retry.attempts == UINT32_MAX ? UINT32_MAX : spec_.retry.attempts + 1;
    spec_.deadLetters->add(change.letter);
    left_.emplace(change.name, change.position);
    letters.push_back(std::move(change.letter));
  }
  acquitAll();
  return letters;
}

void DeadLetterWriter::passed(const Position& durable) {
  acquitAll();
  std::erase_if(left_, [&](const auto& letter) {
    return letter.second.empty() || durable.empty() || source_.comparePositions(letter.second, durable) <= 0;
  });
}

void DeadLetterWriter::remember(const DeadLetter& letter, const Position& durable) {
  try {
    const ChangeEvent event = eventFromJson(letter.event, source_);
    // A new baseline brings its rows as they are now: they get another try.
    if (event.op == ChangeOp::read || source_.comparePositions(event.position, durable) <= 0) return;
    left_.emplace(letter.positionText, event.position);
  } catch (const Error&) {
    // Not one of ours, or of another source: it is left for the operator.
  }
}

void DeadLetterWriter::load(const Position& durable) {
  acquitAll();
  left_.clear();
  if (!spec_.deadLetters || durable.empty()) return;
  std::uint64_t after = 0;
  for (auto letters = spec_.deadLetters->read(spec_.name, after, kLettersAtOnce); !letters.empty();
       letters = spec_.deadLetters->read(spec_.name, after, kLettersAtOnce)) {
    for (const DeadLetter& letter : letters) {
      after = letter.id;
      remember(letter, durable);
    }
  }
}

}  // namespace tidegate::detail
