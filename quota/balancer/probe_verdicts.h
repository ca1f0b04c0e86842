// Decides from what happens to connections which nodes are dead, and when to connect again. No I/O: whoever owns the
// sockets tells what happened, and does what is due.
//
// What is proof: a connection that worked is lost, and two new ones, a moment apart, are refused. Then nothing listens
// at that port of a machine that answers. Everything else is none, and is left to the node's session:
//
// - Silence, a timeout, a host that is out of reach: the network may be at fault.
// - A connection that is closed and can be made again: gRPC closes those that do not begin HTTP/2.
// - A node that was never reached: a firewall may refuse us for ever.
// - An address that several nodes have: what answers there is a proxy.
//
// A firewall that begins to refuse looks like a death. The process then begins a new incarnation, at an address that
// still refuses us: that is a wrong guess, and after the second one the address is not believed any more.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/balancer/node_probe.h"
#include "storage/ledger/incarnation_id.h"

namespace tranche::quota {

// Not thread-safe. Times are any clock's that goes forward.
class ProbeVerdicts {
 public:
  static constexpr absl::Duration kBetweenRefusals = absl::Milliseconds(50);
  // Time between tries to connect that tell nothing. It doubles up to the longest one. A connection that is lost sooner
  // than kShortLived counts as such a try: else an address that closes each at once would keep us busy.
  static constexpr absl::Duration kShortestPause = absl::Milliseconds(200);
  static constexpr absl::Duration kLongestPause = absl::Seconds(30);
  static constexpr absl::Duration kShortLived = absl::Seconds(1);
  static constexpr int kMostWrongGuesses = 2;
  // More nodes than that are left to their sessions: each takes a descriptor.
  static constexpr size_t kMostNodes = 4096;
  // How many addresses are remembered for what was found out there earlier.
  static constexpr size_t kMostAddresses = 1024;

  // From now on watches these and no others; what is known of those that stay is kept.
  void Watch(absl::Span<const ProbedNode> nodes, absl::Time now);
  bool Watches(storage::IncarnationId incarnation) const { return nodes_.contains(incarnation); }

  // To whom to connect now. For each of them, NoteConnected, NoteRefused or NoteFailed must follow.
  std::vector<ProbedNode> TakeDue(absl::Time now);
  // When there will be somebody next; InfiniteFuture: not before something happens.
  absl::Time NextDue() const;

  // What became of a connection. Nothing happens if the node is not watched any more.
  void NoteConnected(storage::IncarnationId incarnation, absl::Time now);
  // The other side has closed or reset it.
  void NoteLost(storage::IncarnationId incarnation, absl::Time now);
  // The other side says that nothing listens there.
  void NoteRefused(storage::IncarnationId incarnation, absl::Time now);
  // No connection, for whatever other reason.
  void NoteFailed(storage::IncarnationId incarnation, absl::Time now);

  // Of the watched nodes.
  const std::set<storage::IncarnationId>& dead() const { return dead_; }
  NodeProbeStats stats() const;

 private:
  enum class Phase { kWaiting, kConnecting, kConnected, kDead, kOff };
  struct Node {
    std::string address;
    Phase phase = Phase::kWaiting;
    absl::Time due;  // while waiting
    absl::Time connected_at;
    absl::Duration pause = absl::ZeroDuration();
    int refusals = 0;      // in a row
    bool reached = false;  // at any time
  };
  // What was found out at an address before its present node.
  struct Record {
    bool accused = false;  // its last node was found dead, and none was reached there since
    int wrong_guesses = 0;
  };

  Node* Find(storage::IncarnationId incarnation, Phase phase);
  static void Wait(Node& node, absl::Time until);
  static void Pause(Node& node, absl::Time now);
  void Judge(storage::IncarnationId incarnation, Node& node, absl::Time now);
  bool IsShared(const std::string& address) const;
  bool IsOff(const std::string& address) const;
  void Accuse(const std::string& address);
  void Acquit(const std::string& address);
  void NoteWrongGuess(const std::string& address);

  std::map<storage::IncarnationId, Node> nodes_;
  std::map<std::string, Record> records_;
  std::set<storage::IncarnationId> dead_;
  int64_t found_dead_ = 0;
  int64_t wrong_guesses_ = 0;
};

}  // namespace tranche::quota
