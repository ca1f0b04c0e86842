// The admin handlers of the front door, on the fakes.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/admission/access_lists.h"
#include "server/admission/front_door.h"
#include "server/admission/front_keys.h"
#include "server/admission/front_policy.h"
#include "server/admission/turn_queue.h"
#include "server/handlers/access_entry_handler.h"
#include "server/handlers/explain_admission_handler.h"
#include "server/handlers/front_announcer.h"
#include "server/handlers/front_key_handler.h"
#include "server/handlers/front_policy_handler.h"
#include "server/handlers/service_mode_handler.h"
#include "storage/fake/fake_front_ledger.h"
#include "tests/unit/server/admin_fixture.h"

namespace tranche::server {

// A ledger in which somebody else is faster, or that is full, busy or silent.
class MeddledFrontLedger : public storage::FakeFrontLedger {
 public:
  using FakeFrontLedger::FakeFrontLedger;

  absl::StatusOr<storage::FrontVersion> ReadFrontVersion() override {
    if (version_fails) return absl::UnavailableError("no version now");
    return FakeFrontLedger::ReadFrontVersion();
  }
  absl::StatusOr<std::vector<storage::FrontPolicyRow>> ListFrontPolicies(const std::string& sku_id) override {
    if (sku_id.empty() && policies_when_full.has_value()) {
      return std::vector<storage::FrontPolicyRow>(*policies_when_full);
    }
    return FakeFrontLedger::ListFrontPolicies(sku_id);
  }
  absl::StatusOr<storage::FrontPolicyRow> SetFrontPolicy(const storage::FrontPolicyChange& change, bool preview,
                                                         const storage::Actor& actor) override {
    if (before_next_change) std::exchange(before_next_change, nullptr)();
    if (policies_when_full.has_value()) return absl::ResourceExhaustedError("full, or busy");
    return FakeFrontLedger::SetFrontPolicy(change, preview, actor);
  }
  absl::StatusOr<storage::AccessCounts> AddAccessEntries(absl::Span<const storage::AccessEntry> entries, bool preview,
                                                         const storage::Actor& actor) override {
    if (entries_when_full.has_value()) return absl::ResourceExhaustedError("full, or busy");
    return FakeFrontLedger::AddAccessEntries(entries, preview, actor);
  }
  absl::StatusOr<storage::AccessCounts> RemoveAccessEntries(absl::Span<const storage::AccessSubject> subjects,
                                                            bool preview, const storage::Actor& actor) override {
    absl::StatusOr<storage::AccessCounts> counts = FakeFrontLedger::RemoveAccessEntries(subjects, preview, actor);
    if (counts.ok() && entries_when_full.has_value()) counts->entries = *entries_when_full;
    return counts;
  }

  std::function<void()> before_next_change;
  bool version_fails = false;
  // Set: additions find no room, and there are so many.
  std::optional<int> policies_when_full;
  std::optional<int32_t> entries_when_full;
};

class FrontDoorAdminTest : public AdminHandlersTest {
 protected:
  // Without anything to warn of.
  static v1::FrontPolicy Policy() {
    v1::FrontPolicy policy;
    v1::RateLimit* const limit = policy.add_limits();
    limit->set_key(v1::RateLimit::KEY_USER);
    limit->set_tries(5);
    limit->mutable_per()->set_seconds(1);
    limit->set_burst(3);
    policy.mutable_lottery()->set_admitted_per_million(200'000);
    return policy;
  }
  // Its first time is worth a warning.
  static v1::FrontPolicy WithToken(v1::FrontPolicy policy) {
    policy.mutable_purchase_token()->mutable_lifetime()->set_seconds(60);
    return policy;
  }
  static v1::FrontPolicy LotteryOf(int32_t admitted_per_million) {
    v1::FrontPolicy policy = Policy();
    policy.mutable_lottery()->set_admitted_per_million(admitted_per_million);
    return policy;
  }
  static v1::FrontPolicy WithRoom(int32_t buyers_per_second = 100) {
    v1::FrontPolicy policy = WithToken(Policy());
    policy.clear_lottery();
    policy.mutable_room()->set_buyers_per_second(buyers_per_second);
    return policy;
  }
  // "tv" is sold from then on.
  void OpenIn(absl::Duration time) {
    storage::Sku sku = *ledger_.GetSku("tv");
    sku.opens_at = clock_.Now() + time;
    const auto updated = ledger_.UpdateSku(sku, kActor);
    ASSERT_TRUE(updated.ok()) << updated.status();
  }
  static v1::SetFrontPolicyRequest PolicyRequest(const std::string& sku_id, const v1::FrontPolicy& policy) {
    v1::SetFrontPolicyRequest request;
    request.set_sku_id(sku_id);
    *request.mutable_policy() = policy;
    return request;
  }
  static v1::SetFrontPolicyRequest RemovalOf(const std::string& sku_id) {
    v1::SetFrontPolicyRequest request;
    request.set_sku_id(sku_id);
    return request;
  }
  v1::SetFrontPolicyResponse MustSet(const v1::SetFrontPolicyRequest& request, const storage::Actor& actor = kActor) {
    const auto response = policies_.Set(request, actor);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::SetFrontPolicyResponse());
  }
  std::vector<v1::StoredFrontPolicy> Policies(const std::string& sku_id = "") {
    v1::ListFrontPoliciesRequest request;
    request.set_sku_id(sku_id);
    const auto response = policies_.List(request);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return {};
    return {response->policies().begin(), response->policies().end()};
  }
  // As a newer version may do it.
  void StoreDocument(const std::string& sku_id, const std::string& document) {
    storage::FrontPolicyChange change;
    change.sku_id = sku_id;
    change.document = document;
    ASSERT_TRUE(front_.SetFrontPolicy(change, /*preview=*/false, "newer").ok());
  }

  static v1::AccessEntry User(const std::string& user_id, v1::AccessEntry::Verdict verdict) {
    v1::AccessEntry entry;
    entry.set_verdict(verdict);
    entry.set_user_id(user_id);
    return entry;
  }
  static v1::AccessEntry Denied(const std::string& address) {
    v1::AccessEntry entry;
    entry.set_verdict(v1::AccessEntry::VERDICT_DENY);
    entry.set_address(address);
    return entry;
  }
  static v1::AddAccessEntriesRequest Addition(const std::vector<v1::AccessEntry>& entries) {
    v1::AddAccessEntriesRequest request;
    for (const v1::AccessEntry& entry : entries) *request.add_entries() = entry;
    return request;
  }
  static v1::RemoveAccessEntriesRequest Removal(const std::vector<v1::AccessEntry>& entries) {
    v1::RemoveAccessEntriesRequest request;
    for (const v1::AccessEntry& entry : entries) *request.add_entries() = entry;
    return request;
  }
  v1::AddAccessEntriesResponse MustAdd(const std::vector<v1::AccessEntry>& entries) {
    const auto response = access_.Add(Addition(entries), kActor);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::AddAccessEntriesResponse());
  }
  // The subjects of all pages, those that come twice, twice.
  std::vector<std::string> Subjects(v1::ListAccessEntriesRequest request = v1::ListAccessEntriesRequest()) {
    std::vector<std::string> subjects;
    do {
      const auto page = access_.List(request);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) break;
      EXPECT_LE(page->entries_size(), request.page_size() == 0 ? 100 : request.page_size());
      for (const v1::AccessEntry& entry : page->entries()) {
        subjects.push_back(entry.has_user_id() ? entry.user_id() : entry.address());
      }
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return subjects;
  }

  std::map<v1::FrontKey::Use, int64_t> KeyIds() {
    const auto response = keys_.List(v1::ListFrontKeysRequest());
    EXPECT_TRUE(response.ok()) << response.status();
    std::map<v1::FrontKey::Use, int64_t> ids;
    for (const v1::FrontKey& key : response->keys()) ids[key.use()] = key.key_id();
    return ids;
  }
  v1::RotateFrontKeyRequest ReplaceAll() {
    v1::RotateFrontKeyRequest request;
    request.set_replace_all(true);
    return request;
  }

  int64_t Version() { return front_.ReadFrontVersion()->number; }
  // What the nodes were told last.
  std::string Announced() {
    const auto znode = sessions_.session->Get(quota::kFrontDoorPath, quota::Watch::kNo);
    EXPECT_TRUE(znode.ok()) << znode.status();
    return znode.ok() ? znode->data : "";
  }

  // What a node would know now.
  std::shared_ptr<const DoorState> StateNow() {
    auto state = std::make_shared<DoorState>();
    auto lists = std::make_shared<AccessLists>();
    lists->Apply(front_.ListAccessEntries({}, std::nullopt, 1000)->entries);
    state->access = std::move(lists);
    state->keys = std::make_shared<const FrontKeys>(*front_.ListFrontKeys());
    state->mode = *front_.ReadServiceMode();
    const auto policies = front_.ListFrontPolicies("");
    for (const storage::FrontPolicyRow& row : *policies) {
      state->policies[row.sku_id] = std::make_shared<const DoorPolicy>(CompilePolicy(row));
    }
    return state;
  }
  static v1::ExplainAdmissionRequest Question(const std::string& user_id) {
    v1::ExplainAdmissionRequest request;
    request.set_sku_id("tv");
    request.set_user_id(user_id);
    return request;
  }
  v1::ExplainAdmissionResponse MustExplain(const v1::ExplainAdmissionRequest& request) {
    const auto response = explanations_.Explain(request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::ExplainAdmissionResponse());
  }
  static v1::AdmissionCheck CheckIn(const v1::ExplainAdmissionResponse& response, const std::string& name) {
    for (const v1::AdmissionCheck& check : response.checks()) {
      if (check.check() == name) return check;
    }
    ADD_FAILURE() << "no check " << name;
    return v1::AdmissionCheck();
  }

  MeddledFrontLedger front_{&clock_, &ledger_};
  FrontAnnouncer front_announcer_{&front_, &sessions_};
  FrontPolicyHandler policies_{&front_, &ledger_, &front_announcer_, /*trusted_proxies=*/1, &clock_};
  AccessEntryHandler access_{&front_, &front_announcer_, &clock_};
  FrontKeyHandler keys_{&front_, &front_announcer_};
  ServiceModeHandler modes_{&front_, &front_announcer_};
  TurnQueue turns_{&clock_, 10, [] { return size_t{0}; }};
  FrontDoor door_{1 << 20, &turns_};
  absl::Duration door_age_ = absl::Seconds(2);
  std::function<void()> on_catch_up_ = [] {};
  ExplainAdmissionHandler explanations_{
      {.door = &door_, .age = [this] { return door_age_; }, .catch_up = [this](absl::Duration) { on_catch_up_(); }},
      [] { return std::string("node1"); },
      &clock_};
};

}  // namespace tranche::server
