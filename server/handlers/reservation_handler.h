// CreateReservation and GetReservation, without gRPC: checks a request against the API's limits, passes it on and
// translates the outcome into the API's messages.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "quota/sale/sale_result.h"
#include "server/handlers/outcome_counts.h"
#include "server/handlers/reservation_messages.h"
#include "storage/books.h"
#include "storage/clock.h"
#include "storage/ledger/reservation_ledger.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

// What a claim came to that was not refused.
using Accepted = std::variant<quota::Sold, quota::Queued>;

// Thread-safe. Outlived by its dependencies.
class ReservationHandler {
 public:
  // quota::Seller::Sell, or a stand-in for it.
  using Sell = std::function<void(storage::ReservationClaim, absl::Time deadline, bool may_exist, quota::SaleDone,
                                  quota::Visitor)>;
  // Called exactly once, inline or on another thread; must not block.
  using CreateDone = absl::AnyInvocable<void(absl::StatusOr<Accepted>)>;
  using GetDone = absl::AnyInvocable<void(absl::StatusOr<storage::Reservation>)>;

  ReservationHandler(Sell sell, storage::Books* books, storage::Clock* clock);

  // `request` is not used after these return. `buyer_address`: "" if it is not known, or nobody asks. The request's own
  // is only checked: VisitorAddresses says whether it counts. Queued only if the request accepts that. Who repeats a
  // claim that was queued, and refused for good, gets that refusal.
  void Create(const v1::CreateReservationRequest& request, absl::Time deadline, CreateDone done,
              std::string buyer_address = {});
  // The part of Create that is the same for whoever joins a group. `claim`: its fields are checked, or an error says
  // what is wrong with them.
  void Claim(absl::StatusOr<storage::ReservationClaim> claim, absl::Time deadline, bool may_exist,
             quota::Visitor visitor, CreateDone done);
  // DEADLINE_PASSED if the deadline passes before the ledger is asked.
  void Get(const v1::GetReservationRequest& request, absl::Time deadline, GetDone done);

  // Until this is called, every claim is answered as if this node had no units, so callers go elsewhere.
  void StartServing() { serving_.store(true, std::memory_order_release); }

  // Of every claim.
  const OutcomeCounts& outcomes() const { return outcomes_; }

  // A claim as a message, with the time that is left of its hold.
  void Fill(const storage::Reservation& reservation, v1::Reservation* message) const;
  // The answer to Create; and those to OpenGroup and JoinGroup, which have the same fields.
  template <typename Response>
  void Fill(const Accepted& accepted, Response* response) const {
    if (const auto* queued = std::get_if<quota::Queued>(&accepted))
      return FillQueued(*queued, response->mutable_queued());
    const auto& sold = std::get<quota::Sold>(accepted);
    Fill(sold.reservation, response->mutable_reservation());
    response->set_replayed(sold.replayed);
  }

 private:
  enum Outcome : size_t { kCreated, kReplayed, kQueued };
  // What an answer says of its claim.
  struct Claimed {
    storage::Uuid id;
    std::string sku_id;
    std::shared_ptr<const storage::GroupJoin> group;
  };

  static absl::Status ErrorOf(const quota::Refused& refused, const Claimed& claimed);
  // Counts it.
  absl::StatusOr<Accepted> AnswerOf(quota::SaleResult result, const Claimed& claimed);

  const Sell sell_;
  storage::Books* const books_;
  storage::Clock* const clock_;
  std::atomic<bool> serving_{false};
  OutcomeCounts outcomes_{{"created", "replayed", "queued"}};
};

}  // namespace tranche::server
