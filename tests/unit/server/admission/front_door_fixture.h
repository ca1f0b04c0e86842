// A front door, and what the ledger would say.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/admission/front_door.h"
#include "server/admission/lottery.h"
#include "server/admission/purchase_token.h"

namespace tranche::server {

class FrontDoorTest : public ::testing::Test {
 protected:
  using GateVerdict = quota::GateVerdict;
  using Refusal = storage::Refusal;

  static constexpr char kOneTryAnHour[] = R"({"limits":[{"key":"KEY_USER","tries":1,"per":"3600s"}]})";
  static constexpr char kTokenAsked[] = R"({"purchase_token":{}})";
  static constexpr char kLotteryAsked[] = R"({"lottery":{"admitted_per_million":1}})";
  static constexpr char kAtHome[] = "203.0.113.7";

  FrontDoorTest() {
    storage::FrontKey key;
    key.id = 1;
    key.secret = std::string(storage::kFrontKeyBytes, 's');
    key.use = storage::FrontKey::Use::kCurrent;
    keys_ = std::make_shared<const FrontKeys>(std::vector<storage::FrontKey>{key});
  }

  void SetPolicy(const std::string& sku_id, const std::string& document, int32_t admitted_per_million = 1) {
    storage::FrontPolicyRow row;
    row.sku_id = sku_id;
    row.document = document;
    row.version = ++version_;
    storage::LotteryRound round;
    round.number = 1;
    round.key = round_key_;
    round.commitment = Commitment(round_key_);
    round.admitted_per_million = admitted_per_million;
    row.round = round;
    policies_[sku_id] = std::make_shared<const DoorPolicy>(CompilePolicy(row));
    Publish();
  }
  void List(bool allow, storage::AccessSubject::Kind kind, const std::string& value) {
    storage::AccessEntry entry;
    entry.subject = {kind, value};
    entry.allow = allow;
    entries_.push_back(entry);
    Publish();
  }
  void AllowUser(const std::string& user) { List(true, storage::AccessSubject::Kind::kUser, user); }
  void DenyUser(const std::string& user) { List(false, storage::AccessSubject::Kind::kUser, user); }
  void Publish() {
    auto state = std::make_shared<DoorState>();
    AccessLists lists;
    lists.Apply(entries_);
    state->access = std::make_shared<const AccessLists>(lists);
    state->keys = keys_;
    state->policies = policies_;
    state->mode = mode_;
    door_.SetState(state);
  }
  void SetMode(storage::ServiceMode::Kind kind, const std::string& reason = "") {
    mode_.kind = kind;
    mode_.reason = reason;
    Publish();
  }

  struct Line {
    std::string sku_id;
    std::string token = "";
  };
  GateVerdict TryCart(const std::string& user, const std::vector<Line>& cart, const std::string& address = kAtHome) {
    std::deque<storage::ReservationClaim> claims;
    std::deque<quota::Visitor> visitors;
    std::vector<quota::GateLine> lines;
    for (const Line& line : cart) {
      claims.push_back({.reservation_id = {}, .sku_id = line.sku_id, .user_id = user, .quantity = 1});
      visitors.push_back({address, line.token});
      lines.push_back({&claims.back(), &visitors.back()});
    }
    return door_.Check(lines, now_, now_ + time_);
  }
  GateVerdict Try(const std::string& user, const std::string& sku_id = "tv", const std::string& address = kAtHome,
                  const std::string& token = "") {
    return TryCart(user, {{sku_id, token}}, address);
  }
  // kNone: let in.
  static Refusal RefusalOf(const GateVerdict& verdict) {
    return verdict.refused.has_value() ? verdict.refused->refusal : Refusal::kNone;
  }
  static std::string AboutOf(const GateVerdict& verdict) {
    return verdict.refused.has_value() ? verdict.refused->about : "";
  }
  std::string TokenFor(const std::string& user, const std::string& sku_id = "tv") {
    return MakePurchaseToken(*keys_, sku_id, user, absl::Minutes(2), now_).text;
  }
  DoorEntry Enter(const std::string& user, const std::string& solution = "") {
    return door_.Enter({.sku_id = "tv", .user_id = user, .address = kAtHome, .challenge_solution = solution}, now_,
                       now_ + time_);
  }
  GateVerdict EnterDraw(const std::string& user, const std::string& token) {
    return door_.CheckDrawEntry("tv", user, {.address = kAtHome, .purchase_token = token}, now_, now_ + time_);
  }
  std::vector<DoorOpinion> Opinions(const std::string& token) {
    const DoorQuestion question = {.sku_id = "tv", .user_id = "alice", .address = kAtHome, .purchase_token = token};
    return door_.Explain(question, now_).opinions;
  }
  uint64_t RefusedBy(DoorCheck check) const { return door_.counts().refused[static_cast<size_t>(check)].load(); }
  uint64_t WaitedAt(DoorCheck check) const { return door_.counts().waited[static_cast<size_t>(check)].load(); }

  absl::Time now_ = absl::FromUnixSeconds(1'800'000'000);
  storage::FakeClock clock_{now_};
  TurnQueue turns_{&clock_, 1, [] { return size_t{0}; }};
  FrontDoor door_{1 << 20, &turns_, &clock_};
  absl::Duration time_ = absl::Minutes(1);  // from a call to its deadline
  std::shared_ptr<const FrontKeys> keys_;
  const std::string round_key_ = std::string(storage::kFrontKeyBytes, 'r');
  int64_t version_ = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const DoorPolicy>> policies_;
  storage::ServiceMode mode_;
  std::vector<storage::AccessEntry> entries_;
};

}  // namespace tranche::server
