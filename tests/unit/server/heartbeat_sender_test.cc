#include "server/process/heartbeat_sender.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

#include "storage/fake/fake_ledger.h"

namespace tranche::server {
namespace {

// Less than HeartbeatSender::kInterval: what comes in time did not wait for the next regular beat.
constexpr absl::Duration kSoon = absl::Seconds(4);

class HeartbeatSenderTest : public ::testing::Test {
 protected:
  storage::Heartbeat Describe() const {
    storage::Heartbeat heartbeat;
    heartbeat.kind = storage::Heartbeat::Kind::kBalancer;
    heartbeat.leads = leads_;
    return heartbeat;
  }
  std::optional<storage::Heartbeat> Told() {
    const std::vector<storage::Heartbeat> told = ledger_.Heartbeats().value();
    return told.empty() ? std::nullopt : std::optional(told.front());
  }
  bool ToldSoon(const std::function<bool(const storage::Heartbeat&)>& is_so) {
    const absl::Time give_up = absl::Now() + kSoon;
    while (absl::Now() < give_up) {
      const std::optional<storage::Heartbeat> told = Told();
      if (told.has_value() && is_so(*told)) return true;
      std::this_thread::yield();
    }
    return false;
  }

  storage::FakeClock clock_;
  storage::FakeLedger ledger_{&clock_};
  std::atomic<bool> leads_ = false;
};

TEST_F(HeartbeatSenderTest, TellsAtOnceThatAProcessRunsAndSoonThatItLeads) {
  HeartbeatSender sender(&ledger_, {"b", RandomInstance()}, [this] { return Describe(); });
  EXPECT_TRUE(ToldSoon([](const storage::Heartbeat& told) { return told.name == "b" && !told.leads; }));
  leads_ = true;
  EXPECT_TRUE(ToldSoon([](const storage::Heartbeat& told) { return told.leads; }));
}

TEST_F(HeartbeatSenderTest, TellsThatAProcessEndsThatWasHeardOf) {
  {
    HeartbeatSender sender(&ledger_, {"b", RandomInstance()}, [this] { return Describe(); });
    ASSERT_TRUE(ToldSoon([](const storage::Heartbeat&) { return true; }));
    EXPECT_FALSE(Told()->ended);
  }
  EXPECT_TRUE(Told()->ended);
}

}  // namespace
}  // namespace tranche::server
