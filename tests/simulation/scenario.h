// The properties of one simulated run: everything that the seed decides before it begins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/reservation_ledger.h"
#include "storage/ledger/sku_ledger.h"
#include "tests/simulation/faults.h"
#include "tests/simulation/random.h"

namespace tranche::simulation {

// How buyers choose their node.
enum class DemandShape {
  kEven,
  kOneNode,  // 95 % of them the same one
  kJumping,  // all of them one node, and every few seconds another
};

struct Scenario {
  std::string name;

  int nodes = 3;
  int balancers = 1;
  int workers = 1;
  std::vector<storage::Sku> skus;
  std::vector<bool> created_late;  // by SKU: in mid-sale
  bool second_sink = false;        // for the messages about changes
  DemandShape shape = DemandShape::kEven;
  absl::Duration between_requests;  // on average
  int64_t users = 10;

  // The processes' limits, including small ones.
  int lanes = 1;
  int max_batch = 4;
  int max_queue = 16;
  storage::LockMode first_lock_mode = storage::LockMode::kWait;
  int executor_fibers = 1;
  size_t executor_queue = 16;
  size_t max_waiting = 16;
  absl::Duration exhausted_wait;
  absl::Duration request_deadline;
  int most_tries = 5;
  int expiry_batch = 8;

  absl::Duration session_timeout;
  absl::Duration statement_timeout;                               // of every process
  absl::Duration ledger_delay_min, ledger_delay_max;              // one way
  absl::Duration coordination_delay_min, coordination_delay_max;  // one way
  absl::Duration event_delay_min, event_delay_max;

  // The phases.
  absl::Duration faulty_phase;
  bool one_buyer_node_at_the_end = false;  // all buyers of the second phase come to one node

  // Claims that are queued, and the nodes that decide them. Without consumers none is.
  int consumers = 0;
  int queue_partitions = 1;
  int prefetch = 1;
  absl::Duration decide_within;
  double accept_queued = 0;  // so many buyers do
  bool paths_change = false;

  // Groups. Without offers there is none.
  std::vector<storage::GroupOffer> offers;
  double joins = 0;  // so many buyers want one

  CallFaults call_faults;
  // The faults that the injector chooses from, and how often on average. Empty: none.
  std::vector<Fault> staged_faults;
  absl::Duration between_faults;
  // Operators change quota and stock, freeze, drain; on average this often. Infinite: never.
  absl::Duration between_operations;
  // Operators do nothing else than pause and resume sales and change prices.
  bool only_terms_change = false;
};

// The names that Simulate knows. ScenarioFor knows all but that of the front door, which is a simulation of its own.
std::vector<std::string> ScenarioNames();

// The scenario of a seed: of the given name, or of one that the seed chooses.
Scenario ScenarioFor(Random& random, absl::string_view name, absl::Time start);

}  // namespace tranche::simulation
