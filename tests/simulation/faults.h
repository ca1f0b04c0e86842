// The faults of the simulation, how likely each is, and how often each was injected.
#pragma once

#include <array>
#include <cstdint>

namespace tranche::simulation {

enum class Fault {
  // Faults of one call to the ledger.
  kLedgerCallFails,   // nothing happened
  kLedgerAnswerLost,  // it happened, and the caller does not learn of it
  kLedgerCallLost,    // it did not happen, and the caller does not learn of it
  kLedgerDeadlock,    // must be tried again
  kLedgerLate,        // delayed in the ledger, or on the way back
  // Faults of one call to the coordination.
  kCoordinationReadFails,
  kCoordinationAnswerLost,  // written, and the writer does not learn of it
  kCoordinationWriteLost,   // not written, and the writer does not learn of it
  kWatchEventLost,
  // Faults of a process.
  kCrash,
  kPause,
  kRestart,    // drains and stops in order; then it is started again
  kProbesLie,  // balancers' probes find it dead, and it lives
  // Faults of a session.
  kSessionExpires,
  kSessionCutOff,
  kFollowerIsolated,
  kFollowerLags,
  // Faults of the servers.
  kZookeeperDown,
  kTreeDeleted,
  kTreeRestored,        // from a backup: announcements become older
  kAnnouncementByHand,  // somebody writes what the ledger never said
  kNewHistory,          // an operator lets all nodes begin anew
  kLedgerDown,
  kLedgerRestored,  // from a backup: commits since then are lost
  kLedgerPromoted,  // a standby takes over, which lacked the last commits
  kLedgerCutOffFromOne,
  kSkuLocked,  // a stranger's transaction has locked its slots
  // Faults of a request.
  kRequestDuplicated,
  kCount,
};

inline constexpr int kFaultKinds = static_cast<int>(Fault::kCount);
const char* NameOf(Fault fault);

using FaultCounts = std::array<int64_t, kFaultKinds>;

// Probabilities of faults of a single call.
struct CallFaults {
  double ledger = 0;
  double ledger_late = 0;
  double coordination = 0;
  double watch_event_lost = 0;
  double crash = 0;  // at any one wait
  double request_duplicated = 0;
};

}  // namespace tranche::simulation
