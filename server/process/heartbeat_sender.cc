#include "server/process/heartbeat_sender.h"

#include <cstdint>
#include <random>
#include <utility>

#include "glog/logging.h"
#include "storage/postgres/steady_now.h"

namespace tranche::server {
namespace {

constexpr absl::Duration kTick = absl::Seconds(1);
constexpr absl::Duration kTellOfFailureEvery = absl::Minutes(1);
constexpr size_t kLongestName = 128;

}  // namespace

storage::Uuid RandomInstance() {
  std::random_device random;
  storage::Uuid uuid;
  for (uint8_t& byte : uuid.bytes) byte = static_cast<uint8_t>(random());
  uuid.bytes[6] = static_cast<uint8_t>((uuid.bytes[6] & 0x0f) | 0x40);  // version 4
  uuid.bytes[8] = static_cast<uint8_t>((uuid.bytes[8] & 0x3f) | 0x80);
  return uuid;
}

HeartbeatSender::HeartbeatSender(storage::HealthLedger* ledger, Process process,
                                 std::function<storage::Heartbeat()> describe)
    : ledger_(ledger),
      process_{process.name.substr(0, kLongestName), process.instance},
      describe_(std::move(describe)),
      task_(std::in_place, /*first_after=*/absl::ZeroDuration(), kTick, [this] { Tick(); }) {}

HeartbeatSender::~HeartbeatSender() {
  task_.reset();
  // A ledger that hangs must not delay the end of the process: only one that has just answered is told.
  if (storage::SteadyNow() - arrived_at_ > kInterval + kTick) return;
  const absl::Status ended = ledger_->EndBeat(kind_, process_.instance);
  LOG_IF(WARNING, !ended.ok()) << "the ledger was not told that this process ends: " << ended.message();
}

void HeartbeatSender::Tick() {
  const absl::Time now = storage::SteadyNow();
  storage::Heartbeat heartbeat = describe_();
  if (now < next_beat_ && heartbeat.leads == led_) return;
  next_beat_ = now + kInterval;
  led_ = heartbeat.leads;
  heartbeat.name = process_.name;
  heartbeat.instance = process_.instance;
  heartbeat.version = TRANCHE_VERSION;
  kind_ = heartbeat.kind;
  const absl::Status beaten = ledger_->Beat(heartbeat);
  arrived_at_ = beaten.ok() ? storage::SteadyNow() : absl::InfinitePast();
  if (beaten.ok() || now < tell_again_at_) return;
  tell_again_at_ = now + kTellOfFailureEvery;
  LOG(WARNING) << "this process's heartbeat is not written, so `tranchectl status` will miss it: " << beaten.message();
}

}  // namespace tranche::server
