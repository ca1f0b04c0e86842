#include "storage/ledger/claim_refusal.h"

#include <gtest/gtest.h>

namespace tranche::storage {
namespace {

Reservation BornCancelled(const std::string& reason) {
  Reservation row;
  row.state = ReservationState::kCancelled;
  row.created_at = row.expires_at = absl::FromUnixSeconds(1000);
  row.finished_at = row.created_at;
  row.cancel_reason = reason;
  return row;
}

TEST(ClaimRefusalTest, EachRefusalIsFoundInItsRow) {
  for (const RefusalWord& known : kRefusalWords) {
    EXPECT_EQ(NameOfRefusal(known.refusal), known.reason);
    EXPECT_EQ(RefusalOf(BornCancelled(ToCancelReason(known.refusal))), known.refusal);
  }
}

TEST(ClaimRefusalTest, OfALaterVersionItIsAnInternalError) {
  EXPECT_EQ(RefusalOf(BornCancelled("REFUSED SOMETHING_NEW")), Refusal::kInternal);
  EXPECT_EQ(RefusalOf(BornCancelled("REFUSED ")), Refusal::kInternal);
}

TEST(ClaimRefusalTest, WhatWasSoldOnceIsNone) {
  EXPECT_FALSE(RefusalOf(BornCancelled("changed my mind")).has_value());
  EXPECT_FALSE(RefusalOf(BornCancelled("")).has_value());
  Reservation row = BornCancelled("REFUSED SOLD_OUT");
  row.expires_at = row.created_at + absl::Seconds(1);
  EXPECT_FALSE(RefusalOf(row).has_value()) << "it was held, and a shop gave that as its reason";
  row = BornCancelled("REFUSED SOLD_OUT");
  row.revision = 2;
  EXPECT_EQ(RefusalOf(row), Refusal::kSoldOut) << "somebody paid for it";
  row.state = ReservationState::kPending;
  EXPECT_FALSE(RefusalOf(row).has_value());
}

}  // namespace
}  // namespace tranche::storage
