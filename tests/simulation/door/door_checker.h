// Says of each answer of a front door whether it is right: who is let in, who is refused and why, and what is given.
//
// It judges by what the node has heard (door_books.h), so a node that is cut off may be wrong, but no other. What it
// cannot know beforehand, whether a limit refuses, it judges afterwards (door_limits.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/front_door.h"
#include "storage/ledger/refusal.h"
#include "tests/simulation/checker.h"
#include "tests/simulation/door/door_books.h"
#include "tests/simulation/door/door_limits.h"
#include "tests/simulation/door/door_risk.h"
#include "tests/simulation/scheduler.h"

namespace tranche::simulation {

// What a node has sealed for one buyer and SKU: a token, a ticket of a room or a delay, or a challenge.
struct DoorPaper {
  std::string sku_id = {};
  std::string user_id = {};
  int64_t key = 0;
  absl::Time expires_at = absl::InfiniteFuture();
  // Of a room's ticket.
  int64_t round = 0;
  bool shuffled = false;
  absl::Time joined_at = absl::InfinitePast();
  // Of a challenge.
  int bits = 0;
  bool stands_in = false;
  // Of a delay.
  absl::Time ready_at = absl::InfinitePast();
};

// By their text.
using DoorPapers = std::map<std::string, DoorPaper>;

class DoorChecker {
 public:
  // `roomy`: the nodes' tables have room for all keys. A run ends at the first violation.
  DoorChecker(int nodes, bool roomy, Scheduler* scheduler);

  // The node has heard all that was stored then.
  void OnHeard(int node, std::shared_ptr<const DoorBooks> books);
  // The node was told a threshold.
  void OnTold(int node, const std::string& sku_id, int64_t round, uint64_t threshold);
  // The node's answers.
  void OnClaim(int node, const DoorTry& asks, const quota::GateVerdict& verdict);
  void OnEnter(int node, const DoorTry& asks, const server::DoorEntry& entry);
  // Somebody has solved this challenge.
  void OnSolved(const std::string& challenge, const std::string& solution);
  void Violated(std::string rule, std::string detail);

  // All that was ever given.
  const DoorPapers& tokens() const { return tokens_; }
  const DoorPapers& tickets() const { return tickets_; }
  const DoorPapers& solutions() const { return solutions_; }
  const DoorPapers& delays() const { return delays_; }
  // How often each answer was given, to see that all are; by name.
  const std::map<std::string, int64_t>& answers() const { return answers_; }
  const std::optional<Violation>& violation() const { return violation_; }

 private:
  struct Node {
    std::shared_ptr<const DoorBooks> books;                    // never null once it has heard
    std::map<std::pair<std::string, int64_t>, uint64_t> told;  // the largest threshold, by SKU and round
  };
  // A try at a node's policy of the SKU.
  struct Case {
    int node;
    const DoorTry& asks;
    const DoorBooks& books;
    const DoorTerms& terms;
    bool listed;
    absl::Time now;
  };
  // Where a room has put somebody.
  struct Place {
    uint64_t rank = 0;
    uint64_t threshold = 0;
    DoorPaper ticket = {};
  };

  // Judges the access list. nullopt: there is nothing more to judge.
  std::optional<Case> CaseOf(int node, const DoorTry& asks, const std::optional<quota::Refused>& refused, bool enters);
  static std::string NameOf(storage::Refusal refusal);
  storage::Refusal RightAnswer(const Case& about) const;
  bool IsGood(const DoorPapers& papers, const std::string& text, const Case& about) const;
  Place PlaceOf(const Case& about) const;
  void CheckPlace(const Case& about, const Place& right, const server::RoomPlace& place);
  // Their turn must come before they are let in.
  static bool Waits(const Case& about);
  // By the lottery or the room.
  bool IsAdmitted(const Case& about, const v1::RiskTier* tier) const;
  void CheckAdmission(const Case& about, const v1::RiskTier* tier, const server::DoorEntry& entry);

  // Those that the risk rules may give, one or two; a null one: they give none.
  // Nobody has said a score: who has no turn yet is not refused for that of `unscored`.
  static bool MayBeScoredLater(const Case& about);
  std::vector<const v1::RiskTier*> TiersOf(const Case& about) const;
  // That which the node has chosen, among those.
  const v1::RiskTier* ChosenTier(const Case& about, const server::DoorEntry& entry);
  void CheckRefusedEntry(const Case& about, const quota::Refused& refused);
  // A challenge of so many bits, or more.
  bool IsSolved(const Case& about, int bits) const;
  bool HasEarned(const Case& about, const DoorDues& dues) const;
  void CheckGiven(const Case& about, const DoorDues& dues, const server::DoorEntry& entry, bool earned);
  // `asked`: something must be asked of them.
  void CheckAsked(const Case& about, const DoorDues& dues, const server::DoorEntry& entry, bool asked);
  void CheckDelay(const Case& about, const server::DoorEntry& entry);
  void TakeDown(const Case& about, const DoorDues& dues, const server::DoorEntry& entry);
  // A paper that was given to another buyer, or for another SKU. An old one of theirs, and what nobody was given, says
  // nothing of them.
  static bool IsOfAnother(const DoorPapers& papers, const std::string& text, const Case& about);
  // At their network.
  void CountRefusal(const Case& about, bool certain);
  void CountWrongPapers(const Case& about, const DoorDues& dues);

  // Of a try that a limit has refused. `passes_rest`: nothing else would. `tries`: of the tier.
  void CheckLimited(const Case& about, const quota::Refused& refused, bool good_token, bool passes_rest, int tries = 1);
  void CountTry(const Case& about, bool good_token, bool by_sku, int tries = 1);
  static int TriesAt(const DoorLimitTerms& limit, int tries);
  std::optional<DoorLimitKey> KeyOf(const Case& about, const DoorLimitTerms& limit, bool good_token) const;
  std::string Told(const Case& about) const;

  const bool roomy_;
  Scheduler* const scheduler_;
  std::vector<Node> nodes_;
  DoorLimits limits_;
  DoorPapers tokens_;
  DoorPapers tickets_;
  DoorPapers challenges_;
  DoorPapers solutions_;
  DoorPapers delays_;
  DoorRefusals refusals_;
  std::map<std::string, int64_t> answers_;
  std::optional<Violation> violation_;
};

}  // namespace tranche::simulation
