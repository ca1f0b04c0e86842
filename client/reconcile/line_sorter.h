// Sorts any number of statement lines by (reservation id, reference, time, line number) in bounded memory: sorted runs
// go to one temporary file, and are merged as they are read. Lines that fit into one run never touch a file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/reconcile/io.h"
#include "client/reconcile/statement_line.h"

namespace tranche::reconcile {

struct SorterOptions {
  // For one run's lines in memory; their keys take about half of it in addition.
  size_t run_bytes = 32 << 20;
  // For all runs' read buffers together, but at least kLeastRunBuffer each.
  size_t merge_bytes = 32 << 20;
};

inline constexpr size_t kLeastRunBuffer = 4096;

// Add any number of lines, Finish, then Next until it is false. Not thread-safe.
class LineSorter {
 public:
  LineSorter(SorterOptions options, MakeSpillFile make_spill_file);
  ~LineSorter();
  LineSorter(const LineSorter&) = delete;
  LineSorter& operator=(const LineSorter&) = delete;

  absl::Status Add(const StatementLine& line);
  absl::Status Finish();
  absl::StatusOr<bool> Next(StatementLine* line);

  uint64_t lines() const { return lines_; }
  // How many went to the file.
  size_t spilled_runs() const { return runs_.size(); }

 private:
  // The first part of a line's sort key; the rest of the line is at `offset` in packed_.
  struct Key {
    uint64_t high;
    uint64_t low;
    uint32_t offset;
  };
  // Bytes in the file.
  struct Run {
    uint64_t begin;
    uint64_t end;
  };
  class RunReader;

  void SortKeys();
  absl::Status Spill();
  absl::Status OpenRuns();
  void SiftDown(size_t at);

  const SorterOptions options_;
  const MakeSpillFile make_spill_file_;
  std::string packed_;
  std::vector<Key> keys_;
  size_t next_key_ = 0;  // only while there is one run
  uint64_t lines_ = 0;
  std::unique_ptr<SpillFile> file_;
  uint64_t file_bytes_ = 0;
  std::vector<Run> runs_;
  // A heap: the run with the smallest line is at the front.
  std::vector<std::unique_ptr<RunReader>> readers_;
};

}  // namespace tranche::reconcile
