// The way of one claim, of one cart, or of one entry into a draw, through the checks of the front door.
//
// A waiting room is not asked here: a policy that has one asks for a token, which EnterSale gives to who is let in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "quota/sale/sale_gate.h"
#include "server/admission/door_state.h"
#include "server/admission/limit_tries.h"
#include "server/admission/purchase_token.h"

namespace tranche::server {

// What somebody comes for. Where a draw decides, claims are refused; where none does, nobody can enter one.
enum class DoorPurpose : uint8_t { kClaim, kDrawEntry };

// Of one thread, for one use. Outlived by the view, the lines and the queue.
class DoorPassage {
 public:
  // `lines`: at least one, all of one buyer at one address. Of an entry only the SKU and the user count.
  DoorPassage(const DoorView& view, absl::Span<const quota::GateLine> lines, absl::Time now, WaitBounds bounds,
              DoorPurpose purpose = DoorPurpose::kClaim)
      : view_(view), lines_(lines), now_(now), purpose_(purpose), tries_(view, now, bounds) {}

  // The verdict, and its counts. A try that a limit refuses is counted by no limit. One that the lottery or the token
  // refuses stays counted by user, address and token: these limits are against floods, also of such tries.
  quota::GateVerdict Go(DoorCounts& counts);

 private:
  // A policy that some of the lines have: one try for them all.
  struct Asked {
    const DoorPolicy* policy = nullptr;
    size_t first_line = 0;
    std::optional<uint64_t> rank = {};  // once it was needed
  };
  struct Line {
    std::optional<size_t> asked = {};        // which of asked_; nullopt: no policy
    std::optional<TokenReading> token = {};  // once it was needed
  };
  // Why somebody is not let in.
  struct Stop {
    DoorCheck check;
    quota::Refused refused;
    size_t line = 0;
    bool no_room = false;  // too many wait
  };

  std::optional<Stop> CheckAll(AccessVerdict access);
  void FindPolicies();
  std::optional<Stop> CheckReadable() const;
  std::optional<Stop> CheckDraws() const;
  std::optional<Stop> CheckKeys() const;
  std::optional<Stop> TakeTries(LimitPart part);
  std::optional<Stop> CheckLottery();
  std::optional<Stop> CheckTokens();

  // At the buyer's network, for the risk rules of the line's policy.
  void CountAtNetwork(const Stop& stop) const;
  const DoorPolicy* PolicyOf(const Line& line) const;
  // After the checks: where a policy asks for tokens, there is one.
  bool AllHaveTokens() const;
  bool HasGoodToken(size_t line);
  std::vector<std::string> TokenIdsOf(size_t asked);

  const DoorView& view_;
  const absl::Span<const quota::GateLine> lines_;
  const absl::Time now_;
  const DoorPurpose purpose_;
  LimitTries tries_;
  absl::InlinedVector<Asked, 2> asked_;
  absl::InlinedVector<Line, 1> line_states_;
};

}  // namespace tranche::server
