/// What every SharedLog must do. To check one of your own:
///
///     INSTANTIATE_TEST_SUITE_P(Mine, SharedLogContract, testing::Values(SharedLogCase{
///         .name = "mine", .make = [] { return [stream = makeStream()] { return joinMine(stream); }; }}),
///         sharedLogCaseName);
///
/// `make` begins a log; each call of what it gives is another gateway's end of it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tidegate/core/error.h"
#include "tidegate/gateway/shared_log.h"

namespace tidegate::contract {

struct SharedLogCase {
  using Joiner = std::function<std::shared_ptr<SharedLog>()>;
  std::string name;
  std::function<Joiner()> make{};
  std::size_t largeOctets = 3u << 20;  ///< an entry of this size must go through
};

inline std::string sharedLogCaseName(const ::testing::TestParamInfo<SharedLogCase>& info) { return info.param.name; }

class SharedLogContract : public ::testing::TestWithParam<SharedLogCase> {
 protected:
  using Entries = std::vector<std::pair<std::uint64_t, std::string>>;

  static Entries readAll(SharedLog& log, std::uint64_t after = 0) {
    Entries entries;
    const std::uint64_t last = log.read(after, [&](std::uint64_t sequence, std::string_view octets) {
      EXPECT_GT(sequence, entries.empty() ? after : entries.back().first) << "entries must come in order, each once";
      entries.emplace_back(sequence, octets);
    });
    EXPECT_EQ(last, entries.empty() ? after : entries.back().first);
    return entries;
  }
  static std::vector<std::string> textsOf(const Entries& entries) {
    std::vector<std::string> texts;
    for (const auto& [sequence, octets] : entries) texts.push_back(octets);
    return texts;
  }
  /// Appends wherever the log ends by now.
  static std::uint64_t appendAtEnd(SharedLog& log, const std::string& octets) {
    std::uint64_t last = 0;
    for (const auto& [sequence, text] : readAll(log)) last = sequence;
    const auto sequence = log.append(last, octets);
    EXPECT_TRUE(sequence.has_value()) << "nobody else writes";
    return sequence.value_or(0);
  }
  static void putSnapshot(SharedLog& log, std::uint64_t sequence, const std::vector<std::string>& chunks) {
    std::size_t at = 0;
    log.putSnapshot(sequence, [&](std::string& chunk) {
      if (at == chunks.size()) return false;
      chunk = chunks[at++];
      return true;
    });
  }
  static std::optional<std::pair<std::uint64_t, std::string>> snapshotOf(SharedLog& log) {
    std::string whole;
    const auto sequence = log.readSnapshot([&](std::string_view chunk) { whole.append(chunk).push_back('|'); });
    return sequence ? std::optional(std::pair(*sequence, whole)) : std::nullopt;
  }

  SharedLogCase::Joiner join = GetParam().make();
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(SharedLogContract);

TEST_P(SharedLogContract, ANewLogIsEmpty) {
  const auto log = join();
  EXPECT_TRUE(readAll(*log).empty());
  EXPECT_FALSE(snapshotOf(*log));
}

TEST_P(SharedLogContract, EveryEndReadsTheSameEntriesInTheSameOrder) {
  const auto north = join(), south = join();
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    const auto sequence = (i % 2 == 0 ? north : south)->append(last, "entry " + std::to_string(i));
    ASSERT_TRUE(sequence.has_value());
    ASSERT_GT(*sequence, last);
    last = *sequence;
  }
  const Entries entries = readAll(*north);
  ASSERT_EQ(entries.size(), 20u);
  EXPECT_EQ(entries.front().second, "entry 0");
  EXPECT_EQ(entries, readAll(*south));
  EXPECT_EQ(textsOf(readAll(*south, entries[16].first)),
            (std::vector<std::string>{"entry 17", "entry 18", "entry 19"}));
  EXPECT_TRUE(readAll(*north, last).empty());
}

TEST_P(SharedLogContract, AnAppendAfterAnythingButTheLastEntryWritesNothing) {
  const auto north = join(), south = join();
  const auto first = north->append(0, "first");
  ASSERT_TRUE(first.has_value());
  EXPECT_FALSE(south->append(0, "also first").has_value());
  const auto second = south->append(*first, "second");
  ASSERT_TRUE(second.has_value());
  EXPECT_FALSE(north->append(*first, "also second").has_value());
  EXPECT_FALSE(north->append(*second + 5, "far ahead").has_value());
  EXPECT_EQ(textsOf(readAll(*north)), (std::vector<std::string>{"first", "second"}));
}

TEST_P(SharedLogContract, OctetsOfAnyKindAndSizeComeBackAsTheyWere) {
  const auto log = join();
  std::string odd("\0\n\r\xff binary", 11), large(GetParam().largeOctets, 'x');
  for (std::size_t i = 0; i < large.size(); i += 97) large[i] = static_cast<char>(i % 251);
  appendAtEnd(*log, odd);
  appendAtEnd(*log, large);
  appendAtEnd(*log, "after");
  const std::vector<std::string> texts = textsOf(readAll(*join()));
  ASSERT_EQ(texts.size(), 3u);
  EXPECT_EQ(texts[0], odd);
  EXPECT_TRUE(texts[1] == large);
  EXPECT_EQ(texts[2], "after");
}

TEST_P(SharedLogContract, WhatTheVisitorThrowsIsThrownAndReadingGoesOnAfterwards) {
  const auto log = join();
  for (const char* text : {"a", "b", "c"}) appendAtEnd(*log, text);
  int seen = 0;
  EXPECT_THROW(log->read(0,
                         [&](std::uint64_t, std::string_view) {
                           if (++seen == 2) throw Error(ErrorCode::internal, Retry::never, "the reader's own trouble");
                         }),
               Error);
  EXPECT_EQ(seen, 2);
  EXPECT_EQ(readAll(*log).size(), 3u);
}

TEST_P(SharedLogContract, ManyWritersAtOnceLoseNothingAndEachPlaceIsTakenOnce) {
  constexpr int kWriters = 3, kEach = 25;
  std::vector<std::thread> writers;
  std::atomic<int> written{0};
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer, log = join()] {
      std::uint64_t last = 0;
      for (int i = 0; i < kEach;) {
        if (const auto sequence = log->append(last, std::to_string(writer) + ":" + std::to_string(i))) {
          last = *sequence;
          ++i, ++written;
        } else {
          last = log->read(last, [](std::uint64_t, std::string_view) {});
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  std::vector<std::string> texts = textsOf(readAll(*join()));
  EXPECT_EQ(texts.size(), static_cast<std::size_t>(written.load()));
  for (int writer = 0; writer < kWriters; ++writer) {
    int next = 0;  // each writer's own entries are in its order
    for (const std::string& text : texts) {
      if (text.substr(0, text.find(':')) == std::to_string(writer)) {
        EXPECT_EQ(text, std::to_string(writer) + ":" + std::to_string(next++));
      }
    }
    EXPECT_EQ(next, kEach);
  }
}

TEST_P(SharedLogContract, WakesTheOtherEndsUntilToldNotTo) {
  const auto north = join(), south = join();
  std::mutex mutex;
  std::condition_variable woken;
  int wakes = 0;
  south->onEntries([&] {
    const std::lock_guard lock(mutex);
    ++wakes;
    woken.notify_all();
  });
  const std::uint64_t first = appendAtEnd(*north, "news");
  north->appended();
  {
    std::unique_lock lock(mutex);
    ASSERT_TRUE(woken.wait_for(lock, std::chrono::seconds(20), [&] { return wakes > 0; }));
  }
  EXPECT_EQ(textsOf(readAll(*south)), std::vector<std::string>{"news"});
  south->onEntries({});
  int before = 0;
  {
    const std::lock_guard lock(mutex);
    before = wakes;
  }
  ASSERT_TRUE(north->append(first, "more").has_value());
  north->appended();
  EXPECT_EQ(readAll(*south).size(), 2u);
  const std::lock_guard lock(mutex);
  EXPECT_EQ(wakes, before);
}

TEST_P(SharedLogContract, TheNewestSnapshotComesBackWholeAtEveryEnd) {
  const auto north = join(), south = join();
  const std::uint64_t first = appendAtEnd(*north, "a");
  putSnapshot(*north, first, {"one", "two", std::string(700'000, 'z')});
  EXPECT_EQ(snapshotOf(*south), std::pair(first, "one|two|" + std::string(700'000, 'z') + "|"));
  const std::uint64_t second = appendAtEnd(*south, "b");
  putSnapshot(*south, second, {"newer"});
  EXPECT_EQ(snapshotOf(*north), std::pair(second, std::string("newer|")));
}

TEST_P(SharedLogContract, ASnapshotThatIsNotFinishedIsNeverSeen) {
  const auto log = join();
  const std::uint64_t first = appendAtEnd(*log, "a");
  putSnapshot(*log, first, {"whole"});
  const std::uint64_t second = appendAtEnd(*log, "b");
  int chunks = 0;
  EXPECT_THROW(log->putSnapshot(second,
                                [&](std::string& chunk) {
                                  chunk = "half";
                                  if (++chunks == 3) throw Error(ErrorCode::internal, Retry::never, "the writer died");
                                  return true;
                                }),
               Error);
  EXPECT_EQ(snapshotOf(*join()), std::pair(first, std::string("whole|")));
}

TEST_P(SharedLogContract, ATrimmedLogGoesOnAndSaysWhatItLost) {
  const auto log = join();
  std::vector<std::uint64_t> sequences;
  for (int i = 0; i < 6; ++i) {
    const auto sequence = log->append(sequences.empty() ? 0 : sequences.back(), std::to_string(i));
    ASSERT_TRUE(sequence.has_value());
    sequences.push_back(*sequence);
  }
  putSnapshot(*log, sequences[3], {"up to 3"});
  log->trim(sequences[3]);
  const auto late = join();
  EXPECT_EQ(textsOf(readAll(*late, sequences[3])), (std::vector<std::string>{"4", "5"}));
  try {
    late->read(sequences[1], [](std::uint64_t, std::string_view) {});
    ADD_FAILURE() << "entries are missing, and nobody said so";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::positionLost);
  }
  EXPECT_FALSE(late->append(0, "as if it were new").has_value());
  log->trim(sequences[5]);
  EXPECT_TRUE(readAll(*late, sequences[5]).empty());
  ASSERT_TRUE(log->append(sequences[5], "6").has_value()) << "a log that is empty by now still knows its last entry";
  EXPECT_EQ(textsOf(readAll(*late, sequences[5])), std::vector<std::string>{"6"});
}

}  // namespace tidegate::contract
