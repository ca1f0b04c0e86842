// What one party of the simulation asked of the ledger and of ZooKeeper, and its estimated cost on real servers.
#pragma once

#include <cstdint>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tranche::testing {

struct Traffic {
  int64_t ledger_calls = 0;
  int64_t ledger_rows = 0;    // SKUs, slices and incarnations in the answers
  int64_t moves = 0;          // SKUs whose quota was changed
  int64_t slots_changed = 0;  // slices that those moves and reclaims changed
  int64_t zk_reads = 0;       // single znodes
  int64_t zk_lists = 0;       // children lists
  int64_t zk_writes = 0;
  int64_t zk_waits = 0;  // waits for an answer: pipelined requests count as one
  int64_t bytes_read = 0;
  int64_t bytes_written = 0;
  absl::Duration inside;  // wall time in the fakes

  Traffic& operator+=(const Traffic& other) { return Add(other, 1); }
  Traffic operator-(const Traffic& other) const {
    Traffic difference = *this;
    return difference.Add(other, -1);
  }

 private:
  Traffic& Add(const Traffic& other, int64_t sign) {
    ledger_calls += sign * other.ledger_calls;
    ledger_rows += sign * other.ledger_rows;
    moves += sign * other.moves;
    slots_changed += sign * other.slots_changed;
    zk_reads += sign * other.zk_reads;
    zk_lists += sign * other.zk_lists;
    zk_writes += sign * other.zk_writes;
    zk_waits += sign * other.zk_waits;
    bytes_read += sign * other.bytes_read;
    bytes_written += sign * other.bytes_written;
    inside += sign * other.inside;
    return *this;
  }
};

// Adds its lifetime to `traffic->inside`.
class InsideTimer {
 public:
  explicit InsideTimer(Traffic* traffic) : traffic_(traffic), start_(absl::GetCurrentTimeNanos()) {}
  ~InsideTimer() { traffic_->inside += absl::Nanoseconds(absl::GetCurrentTimeNanos() - start_); }
  InsideTimer(const InsideTimer&) = delete;
  InsideTimer& operator=(const InsideTimer&) = delete;

 private:
  Traffic* const traffic_;
  const int64_t start_;
};

// The cost of a call on real servers in one data centre. These are assumptions, not measurements; every estimate says
// so.
struct CostModel {
  absl::Duration ledger_call = absl::Microseconds(700);
  absl::Duration ledger_row = absl::Microseconds(2);
  absl::Duration slot_change = absl::Microseconds(25);
  absl::Duration zk_wait = absl::Microseconds(1000);
  absl::Duration zk_read = absl::Microseconds(10);   // 100,000/s
  absl::Duration zk_write = absl::Microseconds(50);  // 20,000/s, pipelined
  absl::Duration zk_list_byte = absl::Nanoseconds(10);

  absl::Duration Of(const Traffic& traffic) const {
    return traffic.ledger_calls * ledger_call + traffic.ledger_rows * ledger_row + traffic.slots_changed * slot_change +
           traffic.zk_waits * zk_wait + (traffic.zk_reads + traffic.zk_lists) * zk_read + traffic.zk_writes * zk_write +
           traffic.bytes_read * zk_list_byte;
  }
};

}  // namespace tranche::testing
