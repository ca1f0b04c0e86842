// Asking to be let in to a sale, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace tranche {

// What a shop knows of one of its buyers, for the risk rules of the SKU's policy; any part may be left out. It is
// believed as the user is: never take it from a buyer's own program.
struct BuyerHints {
  // The shop's own estimate, from 0 (trusted) to 100. Nobody else is asked for one then.
  std::optional<int32_t> risk_score = {};
  // When the account was made.
  std::optional<absl::Time> account_create_time = {};
  // So many orders were paid before.
  std::optional<int32_t> earlier_orders = {};
  // What the policy's rules ask for, such as "vip": at most 8, of 1 to 32 characters of a-z, 0-9, "_" and "-".
  std::vector<std::string> labels = {};
};

// A buyer asks to be let in to the sale of a SKU. It changes nothing, but it counts as a try for rate limits.
struct EnterSale {
  std::string sku = {};
  std::string user = {};
  // The challenge of an earlier answer, solved: what the ALTCHA widget gives, unchanged.
  std::string challenge_solution = {};
  // As in CreateReservation.
  std::string buyer_address = {};
  // WaitingPlace::ticket of the last answer, unchanged; empty at the first try. Without it a buyer who comes after the
  // opening joins the waiting room anew, at its end.
  std::string waiting_ticket = {};
  BuyerHints hints = {};
  // What the widget gave for SaleEntry::captcha_site_key of the last answer; for one try.
  std::string captcha_response = {};
  // The buyer's browser runs no scripts: where they should solve a challenge and the policy has a delay, they wait. A
  // captcha is asked for all the same.
  bool without_scripts = false;
  // EntryDelay::ticket of the last answer, unchanged.
  std::string delay_ticket = {};
};

// Where a buyer is in a SKU's lottery.
struct LotteryTicket {
  int64_t round = 0;       // from 1
  std::string commitment;  // SHA-256 of the round's key, 32 bytes
  uint64_t rank = 0;       // the same at each try and each node
  uint64_t threshold = 0;  // whoever's rank is below is admitted; 2^64 - 1: everybody is
};

// Where a buyer is in a SKU's waiting room. Who joins before the sale opens is shuffled; who joins later comes after
// all of those, in order.
struct WaitingPlace {
  // The place itself: send it with the next EnterSale, and keep it where a reload and a second tab find it. Joining
  // again never gives a better one.
  std::string ticket = {};
  // So many who still ask come before. nullopt: not known yet.
  std::optional<int64_t> ahead = {};
  // How long it will take, as it looks now. nullopt: not known, such as before the sale opens.
  std::optional<absl::Duration> expected_wait = {};
  absl::Time as_of = absl::InfinitePast();  // when these two were computed; InfinitePast: not known
  int64_t round = 0;                        // from 1; a ticket is good for its round only
  std::string commitment = {};              // SHA-256 of the round's key, 32 bytes
  uint64_t rank = 0;                        // the lowest are let in first
  uint64_t threshold = 0;                   // whoever's rank is below is let in; it only grows within a round
  bool shuffled = false;                    // they joined before the sale opened
  // Why nobody is let in now, as a claim would be told: SALE_NOT_OPEN, SALE_PAUSED, SOLD_OUT (units may come back) or
  // SERVICE_LIMITED. The place is kept meanwhile. Empty: buyers are let in in their turn.
  std::string sale_refusal = {};
  std::string sale_refusal_text = {};  // the operator's words for buyers, plain text: escape it in HTML; may be empty
};

// Instead of a challenge, for a buyer without scripts: time that they have to wait.
struct EntryDelay {
  std::string ticket = {};                        // send it with the EnterSale after ready_time; of this buyer and SKU
  absl::Time ready_time = absl::InfinitePast();   // before it the ticket earns nothing; retry_after leads there
  absl::Time expire_time = absl::InfinitePast();  // from then on it earns nothing any more
};

// The answer. Show `challenge` or the captcha to the buyer if there is one, else wait if there is a `delay` or they are
// not admitted, else claim.
struct SaleEntry {
  // The lottery, or the waiting room, lets this buyer in, or there is neither.
  bool admitted = false;
  // For CreateReservation::purchase_token, until then, as often as needed. Empty: the SKU asks for none, the buyer is
  // not admitted, or a challenge, a captcha or a delay comes first. A secret of this buyer: do not log it.
  std::string purchase_token;
  absl::Time token_expire_time = absl::InfinitePast();  // without a token: InfinitePast
  // JSON for the ALTCHA widget (version 2), which must be solved by then: enter again with the solution. Empty: none.
  std::string challenge;
  absl::Time challenge_expire_time = absl::InfinitePast();  // without a challenge: InfinitePast
  // Why the solution of the request was not taken, such as "expired"; empty if there was none, or it was.
  std::string challenge_problem;
  // Of who is not admitted yet, or has a delay: enter again after this time. Otherwise zero.
  absl::Duration retry_after = absl::ZeroDuration();
  // nullopt: the SKU has no lottery.
  std::optional<LotteryTicket> lottery;
  // nullopt: the SKU has no waiting room. Keep its ticket.
  std::optional<WaitingPlace> place = {};
  // Show the captcha of the nodes' provider with this key: enter again with what it gives. Empty: none is asked for.
  std::string captcha_site_key = {};
  // Why the captcha_response of the request was not taken: "refused", "expired" (taken before, or too old), or
  // "unknown" if nobody could say. Then there is another captcha, or a challenge while the provider cannot be asked.
  // Empty if there was none, or it was taken.
  std::string captcha_problem = {};
  // nullopt: none is asked for.
  std::optional<EntryDelay> delay = {};
};

}  // namespace tranche
