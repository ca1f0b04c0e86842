// The faults that the simulation knows, how likely each is, and how often each was injected.
#pragma once

#include <array>
#include <cstdint>

namespace tranche::simulation {

enum class Fault {
  // Of one call of the ledger.
  kLedgerCallFails,   // nothing happened
  kLedgerAnswerLost,  // it happened, and the caller does not learn it
  kLedgerCallLost,    // it did not happen, and the caller does not learn it
  kLedgerDeadlock,    // to be tried again
  kLedgerLate,        // held up in the ledger, or on its way back
  // Of one call of the coordination.
  kCoordinationReadFails,
  kCoordinationAnswerLost,  // written, and the writer does not learn it
  kCoordinationWriteLost,   // not written, and the writer does not learn it
  kWatchEventLost,
  // Of a process.
  kCrash,
  kPause,
  kRestart,  // drains and stops in order; another run follows
  // Of a session.
  kSessionExpires,
  kSessionCutOff,
  kFollowerIsolated,
  kFollowerLags,
  // Of the servers.
  kZookeeperDown,
  kTreeDeleted,
  kTreeRestored,  // from a backup: announcements become older
  kLedgerDown,
  kLedgerCutOffFromOne,
  // Of a request.
  kRequestDuplicated,
  kCount,
};

inline constexpr int kFaultKinds = static_cast<int>(Fault::kCount);
const char* NameOf(Fault fault);

using FaultCounts = std::array<int64_t, kFaultKinds>;

// Chances of what may befall a single call.
struct CallFaults {
  double ledger = 0;
  double ledger_late = 0;
  double coordination = 0;
  double watch_event_lost = 0;
  double crash = 0;  // at any one wait
  double request_duplicated = 0;
};

}  // namespace tranche::simulation
