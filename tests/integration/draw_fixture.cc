#include "tests/integration/draw_fixture.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace tranche::testing {
namespace {

constexpr int64_t kPriceMinor = 49900;
constexpr int kEnteringThreads = 4;

}  // namespace

void DrawFixture::SetUp() {
  MiniClusterOptions options;
  options.nodes = kDrawNodes;
  options.workers = 1;
  StartCluster(options);
  for (int node = 0; node < kDrawNodes; ++node) clients_.push_back(ClientOf({cluster_->endpoint(node)}));
}

void DrawFixture::TearDown() {
  if (cluster_ != nullptr) CheckLedger();
}

void DrawFixture::AwaitTrue(const std::string& what, const std::function<bool()>& is_so) {
  const absl::Time give_up = absl::Now() + kDrawPatience;
  while (!is_so()) {
    ASSERT_LT(absl::Now(), give_up) << "never: " << what;
    absl::SleepFor(absl::Milliseconds(5));
  }
}

void DrawFixture::OpenDrawnSale(const std::string& sku, int64_t stock, absl::Duration hold, v1::FrontPolicy more) {
  v1::CreateSkuRequest request;
  request.mutable_sku()->set_sku_id(sku);
  request.mutable_sku()->set_title(sku);
  request.mutable_sku()->set_price_minor(kPriceMinor);
  request.mutable_sku()->set_currency("EUR");
  request.mutable_sku()->set_stock(stock);
  request.mutable_sku()->set_per_user_limit(1);
  request.mutable_sku()->set_on_demand(true);
  request.mutable_sku()->mutable_hold()->set_seconds(absl::ToInt64Seconds(hold));
  v1::CreateSkuResponse created;
  absl::Status status = Ask(&v1::AdminService::Stub::CreateSku, request, &created);
  ASSERT_TRUE(status.ok()) << status;
  v1::SetFrontPolicyRequest policy;
  policy.set_sku_id(sku);
  *policy.mutable_policy() = std::move(more);
  policy.mutable_policy()->mutable_draw();
  v1::SetFrontPolicyResponse stored;
  status = Ask(&v1::AdminService::Stub::SetFrontPolicy, policy, &stored);
  ASSERT_TRUE(status.ok()) << status;
  // A claim at a node that does not know the policy yet would take a unit from the pool.
  for (int node = 0; node < kDrawNodes; ++node) {
    const auto admin =
        v1::AdminService::NewStub(grpc::CreateChannel(cluster_->endpoint(node), grpc::InsecureChannelCredentials()));
    AwaitTrue("the node goes by the policy", [&] {
      v1::ExplainAdmissionRequest question;
      question.set_sku_id(sku);
      question.set_user_id("nobody");
      v1::ExplainAdmissionResponse told;
      return admin->ExplainAdmission(Context().get(), question, &told).ok() &&
             told.policy_version() == stored.policy().version();
    });
    AwaitTrue("the node knows the sale", [&, tries = 0]() mutable {
      return at(node).EnterSale({.sku = sku, .user = absl::StrCat("prober-", node, "-", ++tries)}).ok();
    });
  }
}

void DrawFixture::SetPaused(const std::string& sku, bool paused) {
  v1::SetSkuPausedRequest request;
  request.set_sku_id(sku);
  request.set_paused(paused);
  v1::SetSkuPausedResponse response;
  const absl::Status status = Ask(&v1::AdminService::Stub::SetSkuPaused, request, &response);
  ASSERT_TRUE(status.ok()) << status;
}

int64_t DrawFixture::UnitsOf(const std::string& sku) {
  const v1::Quota quota = QuotaOf(sku);
  int64_t units = 0;
  for (const v1::Slice& slice : quota.slices()) units += slice.remaining();
  return units;
}

int64_t DrawFixture::PoolOf(const std::string& sku) {
  const v1::Quota quota = QuotaOf(sku);
  int64_t units = 0;
  for (const v1::Slice& slice : quota.slices()) units += slice.incarnation() == 0 ? slice.remaining() : 0;
  return units;
}

void DrawFixture::CreateDraw(const std::string& sku, int32_t winners) {
  v1::CreateDrawRequest request;
  request.set_sku_id(sku);
  request.set_winners(winners);
  request.set_seed_commitment(Sha256(SeedOf(sku)));
  v1::CreateDrawResponse response;
  const absl::Status status = Ask(&v1::AdminService::Stub::CreateDraw, request, &response);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(response.draw().state(), v1::Draw::STATE_OPEN);
  EXPECT_EQ(response.draw().winners(), winners);
  EXPECT_EQ(response.draw().quantity(), 1);
  entries_[sku].clear();
}

absl::Status DrawFixture::TryChange(const std::string& sku, v1::ChangeDrawRequest::Step step, const std::string& seed) {
  v1::ChangeDrawRequest request;
  request.set_sku_id(sku);
  request.set_draw_number(DrawOf(sku).number());
  request.set_step(step);
  request.set_seed(seed);
  v1::ChangeDrawResponse response;
  return Ask(&v1::AdminService::Stub::ChangeDraw, request, &response);
}

void DrawFixture::Change(const std::string& sku, v1::ChangeDrawRequest::Step step, const std::string& seed) {
  const absl::Status changed = TryChange(sku, step, seed);
  ASSERT_TRUE(changed.ok()) << changed;
}

std::vector<v1::Draw> DrawFixture::ListDraws(const std::string& sku) {
  v1::ListDrawsRequest request;
  request.set_sku_id(sku);
  v1::ListDrawsResponse response;
  const absl::Status status = Ask(&v1::AdminService::Stub::ListDraws, request, &response);
  EXPECT_TRUE(status.ok()) << status;
  return {response.draws().begin(), response.draws().end()};
}

v1::Draw DrawFixture::DrawOf(const std::string& sku) {
  const std::vector<v1::Draw> draws = ListDraws(sku);
  EXPECT_FALSE(draws.empty()) << sku;
  return draws.empty() ? v1::Draw() : draws.front();
}

v1::Draw DrawFixture::AwaitDraw(const std::string& sku, const std::string& what,
                                const std::function<bool(const v1::Draw&)>& is_so) {
  v1::Draw draw;
  AwaitTrue(what, [&] {
    draw = DrawOf(sku);
    return is_so(draw);
  });
  EXPECT_TRUE(is_so(draw)) << draw.DebugString();
  return draw;
}

v1::Draw DrawFixture::AwaitState(const std::string& sku, v1::Draw::State state) {
  return AwaitDraw(sku, v1::Draw::State_Name(state), [&](const v1::Draw& draw) { return draw.state() == state; });
}

std::vector<v1::DrawAward> DrawFixture::AwardsOf(const std::string& sku) {
  std::vector<v1::DrawAward> awards;
  v1::ListDrawAwardsRequest request;
  request.set_sku_id(sku);
  request.set_draw_number(DrawOf(sku).number());
  request.set_page_size(7);  // so that there are several pages
  v1::ListDrawAwardsResponse response;
  do {
    const absl::Status status = Ask(&v1::AdminService::Stub::ListDrawAwards, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) break;
    awards.insert(awards.end(), response.awards().begin(), response.awards().end());
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  return awards;
}

std::vector<storage::Uuid> DrawFixture::SealedList(const std::string& sku) {
  std::vector<storage::Uuid> list;
  v1::ListDrawEntriesRequest request;
  request.set_sku_id(sku);
  request.set_draw_number(DrawOf(sku).number());
  request.set_page_size(150);
  v1::ListDrawEntriesResponse response;
  do {
    const absl::Status status = Ask(&v1::AdminService::Stub::ListDrawEntries, request, &response);
    EXPECT_TRUE(status.ok()) << status;
    if (!status.ok()) break;
    const std::string& bytes = response.entry_ids();
    EXPECT_EQ(bytes.size() % 16, 0u);
    for (size_t begin = 0; begin + 16 <= bytes.size(); begin += 16) {
      storage::Uuid& id = list.emplace_back();
      std::transform(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                     bytes.begin() + static_cast<std::ptrdiff_t>(begin + 16), id.bytes.begin(),
                     [](char byte) { return static_cast<uint8_t>(byte); });
    }
    request.set_page_token(response.next_page_token());
  } while (!response.next_page_token().empty());
  return list;
}

std::string DrawFixture::TokenOf(const std::string& sku, const std::string& user, int node) {
  const auto entry = at(node).EnterSale({.sku = sku, .user = user});
  EXPECT_TRUE(entry.ok()) << entry.status();
  if (!entry.ok()) return "";
  EXPECT_TRUE(entry->admitted);
  EXPECT_NE(entry->purchase_token, "");
  tokens_[user] = entry->purchase_token;
  return entry->purchase_token;
}

EnteredDraw DrawFixture::Enter(const std::string& sku, const std::string& user, int node, const std::string& token) {
  const auto entered = at(node).EnterDraw({.sku = sku, .user = user, .purchase_token = token});
  EXPECT_TRUE(entered.ok()) << user << ": " << entered.status();
  if (!entered.ok()) return {};
  EXPECT_TRUE(storage::Uuid::Parse(entered->entry_id).has_value()) << entered->entry_id;
  const auto [known, is_new] = entries_[sku].emplace(user, entered->entry_id);
  EXPECT_EQ(known->second, entered->entry_id) << user << " has two entries";
  if (!is_new) {
    EXPECT_TRUE(entered->replayed) << user;
  }
  return *entered;
}

void DrawFixture::EnterMany(const std::string& sku, const std::string& prefix, int buyers) {
  absl::Mutex mutex;
  std::map<std::string, std::string> made;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kEnteringThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = thread; i < buyers; i += kEnteringThreads) {
        const std::string user = absl::StrCat(prefix, i);
        const auto entered = at(i / kEnteringThreads % kDrawNodes).EnterDraw({.sku = sku, .user = user});
        absl::MutexLock lock(&mutex);
        EXPECT_TRUE(entered.ok()) << user << ": " << entered.status();
        if (entered.ok()) made[user] = entered->entry_id;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  entries_[sku].merge(made);
}

DrawEntry DrawFixture::AwaitEntry(const std::string& sku, const std::string& user, DrawOutcome outcome,
                                  DrawState state) {
  DrawEntry entry;
  AwaitTrue(absl::StrCat(user, " is ", DrawOutcomeName(outcome), ", the draw ", DrawStateName(state)), [&] {
    const auto told = client_->GetDrawEntry({.sku = sku, .user = user});
    if (told.ok()) entry = *told;
    return told.ok() && told->outcome == outcome && told->draw.state == state;
  });
  EXPECT_EQ(entry.entry_id, entries_[sku][user]);
  return entry;
}

void DrawFixture::Pay(const std::string& sku, const v1::DrawAward& award) {
  const auto paid = client_->Confirm({.reservation_id = award.reservation_id(),
                                      .payment_reference = absl::StrCat("payment-", award.reservation_id()),
                                      .amount_minor = kPriceMinor,
                                      .currency = "EUR",
                                      .sku = sku});
  ASSERT_TRUE(paid.ok()) << paid.status();
  EXPECT_EQ(paid->outcome, ConfirmOutcome::kConfirmed);
  EXPECT_EQ(paid->reservation.user_id, award.user_id());
}

void DrawFixture::Cancel(const std::string& sku, const v1::DrawAward& award) {
  const auto cancelled = client_->Cancel({.reservation_id = award.reservation_id(), .sku = sku});
  ASSERT_TRUE(cancelled.ok()) << cancelled.status();
}

}  // namespace tranche::testing
