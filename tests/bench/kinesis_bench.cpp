// A baseline of a million rows from S3, beside reading the same octets and doing nothing with them.
#include <fmt/format.h>

#include <stdexcept>

#include "bench/harness.h"
#include "kinesis/detail/aws_service.h"
#include "kinesis/emulators.h"
#include "tidegate/kinesis/source.h"

namespace tidegate::bench {
namespace {

constexpr std::size_t kRows = 1'000'000;
constexpr double kBaselineBar = 0.6;  // of the bare rate
const std::string kTable = "public.bench";

TableSchema benchTable() {
  return {.table = kTable,
          .columns = {{.name = "id", .kind = ValueKind::int64, .nullable = false},
                      {.name = "name", .kind = ValueKind::text},
                      {.name = "amount", .kind = ValueKind::int64},
                      {.name = "note", .kind = ValueKind::text},
                      {.name = "at", .kind = ValueKind::timestamp}},
          .primaryKey = {"id"}};
}

std::string benchLines() {
  std::string lines;
  lines.reserve(kRows * 150);
  for (std::size_t i = 0; i < kRows; ++i) {
    fmt::format_to(std::back_inserter(lines),
                   "{{\"id\":{},\"name\":\"customer number {}\",\"amount\":{},\"note\":\"a short text of some words\","
                   "\"at\":\"2026-01-31T12:{:02}:{:02}Z\"}}\n",
                   i, i, i * 7919, i / 60 % 60, i % 60);
  }
  return lines;
}

kinesis::SourceOptions benchOptions(const std::string& stream) {
  return {.stream = stream,
          .bucket = "snapshots",
          .prefix = "bench/",
          .tables = {benchTable()},
          .region = "us-east-1",
          .kinesisEndpoint = kinesis::testing::emulatorUrl("TIDEGATE_KINESIS_URL"),
          .s3Endpoint = kinesis::testing::emulatorUrl("TIDEGATE_S3_URL"),
          .pathStyle = true,
          .credentials = kinesis::staticCredentials({.accessKeyId = "S3RVER", .secretAccessKey = "S3RVER"})};
}

/// Reads the object and throws it away.
std::size_t readBare(const kinesis::SourceOptions& options) {
  kinesis::detail::AwsService service(
      {.service = "s3", .region = options.region, .endpoint = options.s3Endpoint, .credentials = options.credentials});
  http::Client client({.acceptCompressed = false});
  std::size_t bytes = 0;
  client.stream(
      service.sign({.method = "GET", .path = "/snapshots/bench/" + kTable + ".jsonl"}, {}),
      [](const http::Response& head) { return head.status == 200; },
      [&](std::string_view piece) {
        bytes += piece.size();
        return true;
      });
  return bytes;
}

std::size_t readRows(const kinesis::SourceOptions& options) {
  const auto source = kinesis::source(options);
  source->init({});
  std::size_t rows = 0;
  source->baseline({kTable},
                   [&](ChangeBatch& batch) {
                     for (const ChangeEvent& event : batch) rows += event.op == ChangeOp::read ? 1 : 0;
                     return Taken::yes;
                   },
                   {});
  return rows;
}

void kinesisBaseline() {
  const std::string stream = kinesis::testing::freshName("bench");
  kinesis::testing::Kinesalite(kinesis::testing::emulatorUrl("TIDEGATE_KINESIS_URL")).create(stream, 1);
  const kinesis::SourceOptions options = benchOptions(stream);
  std::string lines = benchLines();
  const double bytes = static_cast<double>(lines.size());
  kinesis::testing::putObject(options.s3Endpoint, "bench/" + kTable + ".jsonl", std::move(lines));
  const Pair times = measurePair(
      5,
      [&] {
        return secondsOf([&] {
          if (readRows(options) != kRows) throw std::runtime_error("kinesis_baseline: rows are missing");
        });
      },
      [&] {
        return secondsOf([&] {
          if (readBare(options) != static_cast<std::size_t>(bytes)) throw std::runtime_error("octets are missing");
        });
      });
  report({.name = "kinesis_baseline",
          .value = bytes / times.ours / 1e6,
          .unit = "MB/s",
          .limit = bytes / times.limit / 1e6,
          .better = Better::higher,
          .bar = kBaselineBar});
  reportFigure("kinesis_baseline_rows", static_cast<double>(kRows) / times.ours, "rows/s");
}

const Registration kKinesisBaseline("kinesis_baseline", "a baseline of 1,000,000 rows from S3, against a bare read",
                                    kinesisBaseline);

}  // namespace
}  // namespace tidegate::bench
