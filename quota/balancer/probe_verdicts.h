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
// - A loopback address, unless all nodes have one: it is of another machine, and who answers here is somebody else.
//
// A firewall that begins to refuse looks like a death. The process then begins a new incarnation, at an address that
// still refuses us: that is a wrong guess, and after the second one the address is not believed any more. If most nodes
// look dead within kMassWindow, that is taken for such a firewall: the further ones are left to their sessions, and
// each must be reached again before a refusal proves anything.
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
  // A front node closes our connection when it has not begun HTTP/2 within 20 s, or 10 s with TLS (kHandshakeTimeoutMs
  // in server/rpc/grpc_server.cc). So a rule that keeps connections and rejects new ones shows at each node within that
  // time; a timer may be late, and the two tries take a moment.
  static constexpr absl::Duration kMassWindow = absl::Seconds(25);
  // With fewer nodes one cannot tell a rule that holds for all of them from deaths.
  static constexpr size_t kFewestForBrake = 3;
  // By then the session of a process that has ended is over: its timeout is at most 120 s (options_shared.cc in
  // server/process), and ZooKeeper rounds. One that is still registered was taken for dead wrongly, and was only not
  // ended because it holds units of a frozen SKU.
  static constexpr absl::Duration kSessionsEndBy = absl::Seconds(130);
  // A node without a connection for that long is reported.
  static constexpr absl::Duration kUnreachedAfter = absl::Minutes(1);
  // More nodes than that are left to their sessions: each takes a descriptor.
  static constexpr size_t kMostNodes = 4096;
  // How many addresses are remembered for what was found out there earlier.
  static constexpr size_t kMostAddresses = 1024;

  // At most so many nodes are watched; never more than kMostNodes.
  explicit ProbeVerdicts(size_t most_nodes = kMostNodes);

  // From now on watches these and no others; what is known of those that stay is kept.
  void Watch(absl::Span<const ProbedNode> nodes, absl::Time now);
  bool Watches(storage::IncarnationId incarnation) const { return nodes_.contains(incarnation); }
  // Watches nobody, and forgets all but what was counted.
  void Forget();

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
  // No connection, for whatever other reason, in words.
  void NoteFailed(storage::IncarnationId incarnation, absl::Time now, const std::string& reason);

  // Of the watched nodes.
  const std::set<storage::IncarnationId>& dead() const { return dead_; }
  NodeProbeStats stats(absl::Time now) const;

 private:
  enum class Phase { kWaiting, kConnecting, kConnected, kDead, kOff };
  struct Node {
    std::string address;
    std::string name;
    bool registered = true;
    Phase phase = Phase::kWaiting;
    absl::Time due;  // while waiting
    absl::Time connected_at;
    absl::Time last_reached;  // or since when it is watched
    absl::Time found_dead_at;
    std::string trouble = "not tried yet";  // why there is no connection
    absl::Duration pause = absl::ZeroDuration();
    int refusals = 0;      // in a row
    bool reached = false;  // at any time since it was left alone
  };
  // What was found out at an address before its present node.
  struct Record {
    bool shared = false;   // it is not one node's own
    bool accused = false;  // its last node was found dead, and none was reached there since
    int wrong_guesses = 0;
  };

  Node* Find(storage::IncarnationId incarnation, Phase phase);
  static void Wait(Node& node, absl::Time until);
  static void Pause(Node& node, absl::Time now);
  void Judge(storage::IncarnationId incarnation, Node& node, absl::Time now);
  void LeaveAlone(Node& node, absl::Time now);
  void NoteAddresses(absl::Span<const ProbedNode> nodes);
  void TakeBackWrongVerdicts(absl::Time now);
  bool ProvesNothing(const std::string& address) const;
  bool TooManyLookDead(const std::string& address, absl::Time now);
  static bool IsUnreached(const Node& node, absl::Time now);
  Record& RecordOf(const std::string& address);
  bool IsOff(const std::string& address) const;
  void Acquit(const std::string& address);
  void NoteWrongGuess(const std::string& address);

  const size_t most_nodes_;
  std::map<storage::IncarnationId, Node> nodes_;
  std::map<std::string, Record> records_;
  std::set<storage::IncarnationId> dead_;
  // Where a node looked dead within kMassWindow, believed or not, and nobody was reached since: when that was.
  std::map<std::string, absl::Time> looked_dead_;
  // Of the nodes that are to be watched.
  std::set<std::string> of_several_;
  bool all_loopback_ = true;
  bool told_of_too_many_ = false;
  absl::Time told_of_brake_ = absl::InfinitePast();
  int64_t found_dead_ = 0;
  int64_t wrong_guesses_ = 0;
  int64_t left_alone_ = 0;
};

}  // namespace tranche::quota
