// The external sort: in memory, with many runs, with equal keys, and when the disk fails.
#include "client/reconcile/line_sorter.h"

#include <gtest/gtest.h>

#include <random>
#include <tuple>

#include "client/reconcile/posix_files.h"
#include "tests/unit/client/reconcile/memory_io.h"

namespace tranche::reconcile {
namespace {

using SortedRow = std::tuple<ReservationId, std::string, int64_t, uint64_t, int64_t, std::string, LineKind>;

SortedRow ToRow(const StatementLine& line) {
  return {line.reservation_id,
          line.reference,
          line.time_us,
          line.line_number,
          line.amount_minor,
          std::string(line.currency.text()),
          line.kind};
}

std::vector<StatementLine> RandomLines(int count, uint32_t ids) {
  std::mt19937 random(17);
  std::vector<StatementLine> lines;
  for (int i = 0; i < count; ++i) {
    lines.push_back(Line(random() % ids, std::string(1 + random() % kMaxReferenceBytes, 'a' + random() % 2),
                         random() % 2 == 0 ? LineKind::kCharge : LineKind::kRefund, random(), random() % 3,
                         random() % 2 == 0 ? "EUR" : "USD"));
    lines.back().line_number = static_cast<uint64_t>(i) + 1;
    if (random() % 2 == 0) lines.back().reservation_id[0] = static_cast<uint8_t>(random());
  }
  return lines;
}

std::vector<SortedRow> Sorted(const std::vector<StatementLine>& lines) {
  std::vector<SortedRow> rows;
  for (const StatementLine& line : lines) rows.push_back(ToRow(line));
  std::sort(rows.begin(), rows.end());
  return rows;
}

std::vector<SortedRow> SortedBy(LineSorter* sorter, const std::vector<StatementLine>& lines) {
  for (const StatementLine& line : lines) EXPECT_TRUE(sorter->Add(line).ok());
  EXPECT_TRUE(sorter->Finish().ok());
  std::vector<SortedRow> rows;
  StatementLine line;
  while (true) {
    const auto there = sorter->Next(&line);
    EXPECT_TRUE(there.ok()) << there.status();
    if (!there.ok() || !*there) return rows;
    rows.push_back(ToRow(line));
  }
}

TEST(LineSorterTest, OneRunTouchesNoFile) {
  const std::vector<StatementLine> lines = RandomLines(1000, 100);
  LineSorter sorter({}, []() -> absl::StatusOr<std::unique_ptr<SpillFile>> {
    return absl::ResourceExhaustedError("no file is wanted");
  });
  EXPECT_EQ(SortedBy(&sorter, lines), Sorted(lines));
  EXPECT_EQ(sorter.spilled_runs(), 0U);
}

TEST(LineSorterTest, ManyRunsAreMerged) {
  const std::vector<StatementLine> lines = RandomLines(20000, 500);
  for (const size_t run_bytes : {1000, 5000, 100000}) {
    LineSorter sorter({.run_bytes = run_bytes, .merge_bytes = 1}, InMemory());
    EXPECT_EQ(SortedBy(&sorter, lines), Sorted(lines));
    EXPECT_GT(sorter.spilled_runs(), 10U);
    EXPECT_EQ(sorter.lines(), lines.size());
  }
}

TEST(LineSorterTest, EqualKeysStayInTheirOrder) {
  std::vector<StatementLine> equal(3000, Line(1, "p", LineKind::kCharge));
  for (size_t i = 0; i < equal.size(); ++i) equal[i].line_number = i + 1;
  LineSorter sorter({.run_bytes = 2000, .merge_bytes = 1}, InMemory());
  EXPECT_EQ(SortedBy(&sorter, equal), Sorted(equal));
}

TEST(LineSorterTest, NoLines) {
  LineSorter sorter({}, InMemory());
  EXPECT_TRUE(SortedBy(&sorter, {}).empty());
}

TEST(LineSorterTest, ARealFile) {
  const std::vector<StatementLine> lines = RandomLines(5000, 500);
  LineSorter sorter({.run_bytes = 20000, .merge_bytes = 1}, [] { return MakeTemporaryFile(::testing::TempDir()); });
  EXPECT_EQ(SortedBy(&sorter, lines), Sorted(lines));
}

TEST(LineSorterTest, WithoutAFileItSaysWhy) {
  LineSorter sorter({.run_bytes = 1000}, [] { return MakeTemporaryFile("/nowhere"); });
  absl::Status added;
  for (int i = 0; i < 100 && added.ok(); ++i) added = sorter.Add(Line(1, "p", LineKind::kCharge));
  EXPECT_EQ(added.code(), absl::StatusCode::kNotFound) << added;
}

}  // namespace
}  // namespace tranche::reconcile
