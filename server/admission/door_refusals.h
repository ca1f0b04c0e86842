// What the front door says to those whom it does not let in.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "server/admission/purchase_token.h"
#include "server/admission/rate_key.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {

// Rounded up, to 10 % or 1 ms at most, so that the same answers come again: errors.h keeps those that it has built.
absl::Duration RoundedUp(absl::Duration wait);

// When who is not admitted now may ask again: 16 to 24 s, spread evenly by the rank, so that buyers do not all come
// back in one moment.
absl::Duration ComeBackAfter(uint64_t rank);

quota::Refused DeniedAtTheDoor();
// An operator has limited what nodes do for buyers.
quota::Refused ServiceLimited(const storage::ServiceMode& mode);
// This node cannot judge, another one may: its policy is unreadable, or it has no key.
quota::Refused NotJudgedHere();
// Units go to the winners of a draw: a claim is in vain.
quota::Refused DrawDecides();
// The policy has no draw that somebody could enter.
quota::Refused NoDrawToEnter();
quota::Refused RateLimited(RateKeyKind kind, absl::Duration retry_after);
quota::Refused NotAdmitted(uint64_t rank);
quota::Refused TokenMissing();
quota::Refused TokenInvalid(TokenProblem problem);

}  // namespace tranche::server
