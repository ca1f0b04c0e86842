// A ledger of groups that forwards every call through one hook of the derived class: `Around`, see
// storage/ledger/ledger_call.h. The derived class overrides the methods that it does differently.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/ledger/group_ledger.h"
#include "storage/ledger/ledger_call.h"

namespace tranche::storage {

template <typename Derived>
class ForwardingGroupLedger : public GroupLedger {
 public:
  absl::StatusOr<GroupOffer> CreateGroupOffer(const GroupOffer& offer, bool preview, const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("CreateGroupOffer"),
                   [&](GroupLedger& target) { return target.CreateGroupOffer(offer, preview, actor); });
  }
  absl::StatusOr<GroupOffer> CloseGroupOffer(const std::string& sku_id, const std::string& offer_id, bool preview,
                                             const Actor& actor) override {
    return Forward(LedgerCall::ChangeSku("CloseGroupOffer"),
                   [&](GroupLedger& target) { return target.CloseGroupOffer(sku_id, offer_id, preview, actor); });
  }
  absl::StatusOr<std::vector<GroupOffer>> ListGroupOffers(const std::string& sku_id) override {
    return Forward(LedgerCall::Read("ListGroupOffers"),
                   [&](GroupLedger& target) { return target.ListGroupOffers(sku_id); });
  }
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, const std::string& sku_id, const std::string& reason,
                                    bool preview, const Actor& actor) override {
    return Forward(LedgerCall::ChangeReservations("CancelGroup"),
                   [&](GroupLedger& target) { return target.CancelGroup(group_id, sku_id, reason, preview, actor); });
  }
  absl::StatusOr<GroupWithMembers> GetGroup(const Uuid& group_id, const GroupLookup& lookup) override {
    return Forward(LedgerCall::Read("GetGroup"),
                   [&](GroupLedger& target) { return target.GetGroup(group_id, lookup); });
  }
  absl::StatusOr<GroupPage> ListGroups(const GroupFilter& filter, const GroupCursor& after, int limit) override {
    return Forward(LedgerCall::Read("ListGroups"),
                   [&](GroupLedger& target) { return target.ListGroups(filter, after, limit); });
  }
  absl::StatusOr<GroupCounts> CountGroups() override {
    return Forward(LedgerCall::Read("CountGroups"), [&](GroupLedger& target) { return target.CountGroups(); });
  }
  absl::StatusOr<ExpiredGroups> ExpireGroups(int limit) override {
    return Forward(LedgerCall::ChangeReservations("ExpireGroups"),
                   [&](GroupLedger& target) { return target.ExpireGroups(limit); });
  }
  absl::StatusOr<int64_t> RetireGroups(absl::Duration age, int limit) override {
    return Forward(LedgerCall::ChangeReservations("RetireGroups"),
                   [&](GroupLedger& target) { return target.RetireGroups(age, limit); });
  }

 private:
  template <typename Ask>
  auto Forward(const LedgerCall& call, const Ask& ask) {
    return static_cast<Derived*>(this)->Around(call, ask);
  }
};

}  // namespace tranche::storage
