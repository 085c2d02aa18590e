/// One call of `stream`: connects, checks that slot and publication still have what follows, reads, and begins again.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "postgres/detail/pgoutput_relations.h"
#include "postgres/detail/source_core.h"
#include "postgres/detail/stream_reader.h"
#include "postgres/detail/table_version.h"
#include "tidegate/source/backoff.h"

namespace tidegate::postgres::detail {

/// @thread The stream's.
class SourceStream {
 public:
  SourceStream(SourceCore& core, const std::vector<std::string>& tables, const Position& from,
               const ChangeHandler& handler, std::stop_token stop);

  /// Until stopped. @throws Error, and whatever the handler threw.
  void run();

 private:
  void attempt();
  void open();
  void checkPublication();
  void checkSlot();
  void checkHistory();
  void checkNothingForgotten(const Place& place, Lsn begin, Lsn confirmed) const;
  void start();
  std::string startCommand() const;
  /// What a failure of the stream means, and whether to try again: by the code and retry class of the result.
  Error meaningOf(const Error& failure);
  Error publicationMissing(const Error& failure);
  void monitor();
  void lookAfterSlot(bool beat, bool look);
  void lookAtTables(PGconn* side);
  void adopt(PGconn* side, const TableFacts& facts);
  void announce(Lsn received);
  void probe();
  StreamHooks hooks();
  CatalogueQuestions questions();

  SourceCore& core_;
  std::vector<std::string> tables_;
  Position from_;
  std::stop_token stop_;
  PgoutputRelations relations_;
  StreamReader reader_;
  Backoff backoff_;
  bool described_ = false;                        ///< the tables' shapes were read
  std::map<unsigned, std::string> fingerprints_;  ///< of the tables' columns, by OID
  /// A table as the catalogue had it at some moment between two places; to be told once the stream is past the second.
  struct Seen {
    ToldTable* table;
    TableSeen seen;
    Lsn from, until;
  };
  std::vector<Seen> seen_;
  bool letFailOver_ = false;  ///< the slot is to be altered before it is used
  Lsn confirmed_ = 0;         ///< of the slot, when last looked at
  bool begun_ = false;        ///< the server accepted a stream in this call
  bool warnedOfLog_ = false;
  Clock::Micros startedAt_{0}, lastMonitor_{0}, lastBeat_{0}, lastProbe_{0};
};

}  // namespace tidegate::postgres::detail
