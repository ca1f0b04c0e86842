// Shared by the suites about groups.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "storage/ledger/group_ledger.h"
#include "tests/contract/lifecycle_fixture.h"

namespace tranche::storage {

class GroupContractTest : public LifecycleContractTest {
 protected:
  using enum ChangeOutcome;
  using enum Refusal;

  static constexpr int64_t kPrice = 1500;  // less than alone
  static constexpr absl::Duration kOpenFor = absl::Hours(4);
  static constexpr absl::Duration kPayWithin = absl::Minutes(30);  // longer than the SKU's hold

  // A SKU that is on sale, all of whose units one node has, with an offer "team".
  void Sell(const std::string& sku_id, int64_t units, int32_t seats, int32_t per_user_limit = 1) {
    Create(SkuOf(sku_id, units, per_user_limit));
    node_ = node_ == kPool ? Register() : node_;
    Move(sku_id, {{node_, units}});
    Offer(OfferOf(sku_id, seats));
  }
  static GroupOffer OfferOf(const std::string& sku_id, int32_t seats, const std::string& offer_id = "team") {
    return {.sku_id = sku_id,
            .offer_id = offer_id,
            .seats = seats,
            .price_minor = kPrice,
            .open_for = kOpenFor,
            .pay_within = kPayWithin,
            .created_at = {}};
  }
  static GroupOffer PartialOf(const std::string& sku_id, int32_t seats, int32_t min_members) {
    GroupOffer offer = OfferOf(sku_id, seats, "partial");
    offer.on_timeout = OnGroupTimeout::kPartial;
    offer.min_members = min_members;
    return offer;
  }
  GroupOffer Offer(const GroupOffer& offer) {
    const auto created = groups().CreateGroupOffer(offer, /*preview=*/false, "alice");
    EXPECT_TRUE(created.ok()) << created.status();
    return created.value_or(GroupOffer{});
  }

  // Of the SKU "tv". With an offer, it opens the group unless it exists.
  static ReservationClaim ClaimIn(const Uuid& group_id, const std::string& user_id, const std::string& offer_id = "") {
    ReservationClaim claim = testing::Claim("tv", user_id);
    claim.group = std::make_shared<const GroupJoin>(GroupJoin{.group_id = group_id, .offer_id = offer_id});
    return claim;
  }
  Answer Try(const ReservationClaim& claim) { return Outcome(node_, claim); }
  Reservation Book(const ReservationClaim& claim) {
    const CommitResult result = Commit(node_, {claim}).front();
    EXPECT_EQ(Answer(result), CommitOutcome::kCreated);
    return result.reservation;
  }
  Reservation Open(const Uuid& group_id, const std::string& user_id, const std::string& offer_id = "team") {
    return Book(ClaimIn(group_id, user_id, offer_id));
  }
  Reservation Join(const Uuid& group_id, const std::string& user_id) { return Book(ClaimIn(group_id, user_id)); }

  // Each buyer's payment has a reference of its own.
  static Payment PaymentBy(const Reservation& hold) { return PaymentOf(hold, absl::StrCat("pay-", hold.user_id)); }
  ChangeResult Pay(const Reservation& hold) { return Confirm(PaymentBy(hold)); }
  ChangeResult PayLate(const Reservation& hold) { return ConfirmLate(PaymentBy(hold)); }
  // Of buyers who pay at once.
  Reservation OpenPaid(const Uuid& group_id, const std::string& user_id, const std::string& offer_id = "team") {
    return Paid(Open(group_id, user_id, offer_id));
  }
  Reservation JoinPaid(const Uuid& group_id, const std::string& user_id) { return Paid(Join(group_id, user_id)); }
  // A group of a new buyer's for each of the seats, all of them paid.
  Uuid Filled(int32_t seats) {
    const Uuid group_id = testing::NewId();
    OpenPaid(group_id, "first");
    for (int32_t seat = 2; seat <= seats; ++seat) JoinPaid(group_id, absl::StrCat("buyer", seat));
    EXPECT_EQ(GroupNow(group_id).state, GroupState::kFilled);
    return group_id;
  }

  Group GroupNow(const Uuid& group_id) {
    const auto found = groups().GetGroup(group_id, {});
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? found->group : Group{};
  }
  std::vector<GroupMember> Members(const Uuid& group_id) {
    return MembersTold(group_id, {.members = GroupLookup::Members::kAll});
  }
  std::vector<GroupMember> MembersTold(const Uuid& group_id, const GroupLookup& lookup) {
    const auto found = groups().GetGroup(group_id, lookup);
    EXPECT_TRUE(found.ok()) << found.status();
    return found.ok() ? found->members : std::vector<GroupMember>();
  }
  GroupMember MemberNow(const Uuid& group_id, const std::string& user_id) {
    for (const GroupMember& member : Members(group_id)) {
      if (member.user_id == user_id) return member;
    }
    ADD_FAILURE() << user_id << " is no member";
    return {};
  }
  ReservationState StateOf(const Reservation& reservation) { return Read(reservation.reservation_id).state; }
  std::string ReasonOf(const Reservation& reservation) { return Read(reservation.reservation_id).cancel_reason; }
  std::vector<std::string> KindsOf(const Reservation& reservation) { return Kinds(reservation.reservation_id); }

  ExpiredGroups ExpireGroups(int limit = 1'000) {
    const auto expired = groups().ExpireGroups(limit);
    EXPECT_TRUE(expired.ok()) << expired.status();
    return expired.value_or(ExpiredGroups{});
  }
  absl::StatusOr<Group> CancelGroup(const Uuid& group_id, bool preview = false, const std::string& sku_id = "") {
    return groups().CancelGroup(group_id, sku_id, "wrong price", preview, "alice");
  }

  // Payments whose refund is asked for.
  int64_t Refunds() {
    const auto health = this->health().Health();
    EXPECT_TRUE(health.ok()) << health.status();
    return health.ok() ? health->refunds_waiting : -1;
  }
  int64_t Unsold(const std::string& sku_id = "tv") {
    const auto sku = stock().GetSku(sku_id);
    EXPECT_TRUE(sku.ok()) << sku.status();
    return sku.ok() ? sku->unsold : -1;
  }
  int64_t InPool(const std::string& sku_id = "tv") { return Remaining(sku_id)[kPool]; }
  // The payload of the reservation's message of this kind; "" if there is not exactly one.
  std::string PayloadOf(const Reservation& reservation, absl::string_view kind) {
    std::string payload;
    int found = 0;
    const auto messages = outbox().ListMessages("default", OutboxState::kPending, {}, 1'000);
    EXPECT_TRUE(messages.ok()) << messages.status();
    for (const OutboxMessage& message : messages.value_or(std::vector<OutboxMessage>())) {
      if (message.key.reservation_id != reservation.reservation_id || message.kind != kind) continue;
      payload = message.payload;
      ++found;
    }
    return found == 1 ? payload : "";
  }
  // Of the SKU "tv".
  std::vector<Reservation> Listed(const std::vector<ReservationState>& states) {
    std::vector<Reservation> all;
    ReservationCursor after;
    while (true) {
      const auto page = lifecycle().ListReservations({.sku_id = "tv", .user_id = "", .states = states}, after, 1'000);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return all;
      all.insert(all.end(), page->reservations.begin(), page->reservations.end());
      if (!page->next.has_value()) return all;
      after = *page->next;
    }
  }
  size_t AuditEntries() {
    const auto entries = stock().ListAudit({}, 0, 1'000);
    EXPECT_TRUE(entries.ok()) << entries.status();
    return entries.ok() ? entries->size() : 0;
  }

  IncarnationId node_ = kPool;

 private:
  Reservation Paid(const Reservation& hold) {
    const ChangeResult paid = Pay(hold);
    EXPECT_EQ(paid.outcome, kDone);
    return paid.reservation;
  }
};

}  // namespace tranche::storage
