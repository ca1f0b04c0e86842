#include "quota/balancer/balancer_pulse.h"

#include <gtest/gtest.h>

namespace tranche::quota {
namespace {

TEST(BalancerPulseTest, KeepsSinceWhenItLeadsAndWhenItLed) {
  BalancerPulse pulse;
  EXPECT_FALSE(pulse.Read().led_at.has_value());
  const auto at = [](int seconds) { return absl::FromUnixSeconds(1000 + seconds); };
  pulse.NoteRound(/*succeeded=*/true, /*leads=*/false, at(1));
  EXPECT_EQ(pulse.Read().round_at, at(1));
  EXPECT_FALSE(pulse.Read().leads_since.has_value());
  pulse.NoteRound(true, /*leads=*/true, at(2));
  pulse.NoteRound(/*succeeded=*/false, true, at(3));
  EXPECT_TRUE(pulse.Read().leads);
  EXPECT_EQ(pulse.Read().leads_since, at(2));
  EXPECT_EQ(pulse.Read().led_at, at(3));
  EXPECT_EQ(pulse.Read().round_at, at(2)) << "the last that succeeded";
  pulse.NoteRound(true, /*leads=*/false, at(4));
  EXPECT_FALSE(pulse.Read().leads);
  EXPECT_FALSE(pulse.Read().leads_since.has_value());
  EXPECT_EQ(pulse.Read().led_at, at(3));
  pulse.NoteRound(true, /*leads=*/true, at(5));
  EXPECT_EQ(pulse.Read().leads_since, at(5));
}

}  // namespace
}  // namespace tranche::quota
