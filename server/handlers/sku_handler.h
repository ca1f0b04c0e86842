// Admin calls about SKUs. Blocking: not on gRPC's threads. Thread-safe.
#pragma once

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "quota/coordination/announcer.h"
#include "server/handlers/reserved_units.h"
#include "storage/clock.h"
#include "storage/ledger/sku_ledger.h"
#include "tranche/v1/admin_service.pb.h"

namespace tranche::server {

// The warning in answers to changes that could not be announced.
inline constexpr char kNotAnnounced[] =
    "The change is made, but ZooKeeper does not take the news of it: nodes go by what they have heard before, until it "
    "answers and a balancer tells them. A pause and a close hold at once all the same; after a resume, a reopen or an "
    "earlier opening, nodes may still refuse.";

class SkuHandler {
 public:
  // `clock` decides what state a SKU is in. Without `count_holds`, it is not told how reserved units divide.
  // `has_broker`: this node can queue claims.
  SkuHandler(storage::SkuLedger* ledger, quota::Announcer* announcer, storage::Clock* clock,
             CountHoldsAt count_holds = nullptr, bool has_broker = false)
      : ledger_(ledger),
        announcer_(announcer),
        clock_(clock),
        count_holds_(std::move(count_holds)),
        has_broker_(has_broker) {}

  absl::StatusOr<v1::CreateSkuResponse> Create(const v1::CreateSkuRequest& request, const storage::Actor& actor);
  absl::StatusOr<v1::ListSkusResponse> List(const v1::ListSkusRequest& request);
  absl::StatusOr<v1::GetSkuResponse> Get(const v1::GetSkuRequest& request);
  absl::StatusOr<v1::CloseSkuResponse> Close(const v1::CloseSkuRequest& request, const storage::Actor& actor);

 private:
  storage::SkuLedger* const ledger_;
  quota::Announcer* const announcer_;
  storage::Clock* const clock_;
  const CountHoldsAt count_holds_;
  const bool has_broker_;
};

// Announces the SKU as the ledger has it now. A failure is logged, and the balancer repairs it. It is no error, since
// the change is made; false then, for WarnIfNotAnnounced.
bool AnnounceSku(quota::Announcer& announcer, const storage::Sku& sku);

// Adds to an answer what an operator should know of a change that the nodes are not told of.
template <typename Response>
void WarnIfNotAnnounced(bool announced, Response& response) {
  if (!announced) response.add_warnings(kNotAnnounced);
}

}  // namespace tranche::server
