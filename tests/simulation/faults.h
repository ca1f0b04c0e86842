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
  // Faults of the broker and of consumers, where claims are queued.
  kBrokerDown,
  kBrokerAlarm,            // takes no messages
  kBrokerConnectionsLost,  // of all consumers: they connect again at once
  kConfirmLost,            // a message may be in its queue
  kConsumerCutOff,         // and it learns of that late; others are given what it holds
  kConsumerDies,           // between a decision and its message's end
  kCount,
};

inline constexpr int kFaultKinds = static_cast<int>(Fault::kCount);
// From here on they are faults of the scenario "queue" alone.
inline constexpr int kFirstQueueFault = static_cast<int>(Fault::kBrokerDown);
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
  double confirm_lost = 0;
  double cut_off_before_done = 0;  // of a consumer, whenever it has decided a claim
  double dies_before_done = 0;     // the same
};

}  // namespace tranche::simulation
