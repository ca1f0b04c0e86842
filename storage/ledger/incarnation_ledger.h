// The incarnations: which runs of front nodes may hold units and commit.
//
// Threads, blocking and errors are those of every ledger: storage/ledger/README.md.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/actor.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::storage {

struct Incarnation {
  IncarnationId id = kPool;
  std::string node_name;
  std::string address;
  absl::Time started_at;
  // An operator asked it to hand back its units and to get no more.
  bool draining = false;
};

// What a node that drains is told besides: whether its process is to end when it has handed back its units. That is not
// kept here; the audit log has it.
struct DrainTelling {
  std::optional<bool> exit = {};       // nullopt: nothing is told
  std::optional<bool> told_exit = {};  // what it was told before; nullopt: nothing
};

class IncarnationLedger {
 public:
  virtual ~IncarnationLedger() = default;

  // Registers a new incarnation; `draining` if its node was draining already.
  virtual absl::StatusOr<IncarnationId> RegisterIncarnation(const std::string& node_name, const std::string& address,
                                                            bool draining = false) = 0;
  virtual absl::StatusOr<std::vector<Incarnation>> ListLiveIncarnations() = 0;
  // kNotFound when the incarnation is not live. Repeating it changes and audits nothing, unless the node is told
  // something else than before.
  virtual absl::StatusOr<Incarnation> SetDraining(IncarnationId incarnation, bool draining, const Actor& actor,
                                                  const DrainTelling& telling = {}) = 0;
  // Moves everything the incarnation holds into the pool and ends it: no later commit of it succeeds. Returns the SKUs
  // whose quota changed. Repeating it is harmless.
  virtual absl::StatusOr<std::vector<std::string>> ReclaimIncarnation(IncarnationId incarnation) = 0;
};

}  // namespace tranche::storage
