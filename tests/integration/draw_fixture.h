// Two nodes, a worker and draws: what operators and buyers ask, and what must come out.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "client/internal/status_translation.h"
#include "storage/uuid.h"
#include "tests/integration/sale_fixture.h"
#include "tranche/v1/admin_service.grpc.pb.h"

namespace tranche::testing {

// For what takes a moment on an idle machine.
inline constexpr absl::Duration kDrawPatience = absl::Seconds(60);
inline constexpr int kDrawNodes = 2;

std::string Sha256(const std::string& text);

// One thread, but for EnterMany.
class DrawFixture : public SaleTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  // The SKU's units wait in its pool, and its policy is `more` with a draw. Returns when every node goes by both.
  void OpenDrawnSale(const std::string& sku, int64_t stock, absl::Duration hold, v1::FrontPolicy more);
  void SetPaused(const std::string& sku, bool paused);
  // Of the ledger, in the pool and with the nodes.
  int64_t UnitsOf(const std::string& sku);
  int64_t PoolOf(const std::string& sku);

  // Operators. Draws are committed to SeedOf(sku).
  static std::string SeedOf(const std::string& sku);
  void CreateDraw(const std::string& sku, int32_t winners);
  // A step with the newest draw; of the second, it must succeed.
  absl::Status TryChange(const std::string& sku, v1::ChangeDrawRequest::Step step, const std::string& seed = "");
  void Change(const std::string& sku, v1::ChangeDrawRequest::Step step, const std::string& seed = "");
  std::vector<v1::Draw> ListDraws(const std::string& sku);
  // The newest, as it is.
  v1::Draw DrawOf(const std::string& sku);
  v1::Draw AwaitDraw(const std::string& sku, const std::string& what,
                     const std::function<bool(const v1::Draw&)>& is_so);
  v1::Draw AwaitState(const std::string& sku, v1::Draw::State state);
  std::vector<v1::DrawAward> AwardsOf(const std::string& sku);
  std::vector<storage::Uuid> SealedList(const std::string& sku);

  // Buyers.
  Client& at(int node) { return *clients_.at(static_cast<size_t>(node)); }
  // Remembers the token, too.
  std::string TokenOf(const std::string& sku, const std::string& user, int node);
  // Must succeed, and adds to entries_.
  EnteredDraw Enter(const std::string& sku, const std::string& user, int node, const std::string& token = "");
  // So many buyers, <prefix>0 and so on, at both nodes, several at a time. Without tokens.
  void EnterMany(const std::string& sku, const std::string& prefix, int buyers);
  // What a node tells of the newest draw may be a second old.
  DrawEntry AwaitEntry(const std::string& sku, const std::string& user, DrawOutcome outcome, DrawState state);
  void Pay(const std::string& sku, const v1::DrawAward& award);
  void Cancel(const std::string& sku, const v1::DrawAward& award);

  // The sealed list has exactly entries_ in the order of their bytes, and the draw's root.
  void CheckSealed(const std::string& sku);
  // The awards went to the lowest ranks, in their order; there are so many.
  void CheckAwards(const std::string& sku, size_t count);
  // The proof leads from the entry to the draw's root, and the rank is its own.
  static void CheckProof(const DrawEntry& entry);

  // Asks again until it is so. Fails after kDrawPatience.
  static void AwaitTrue(const std::string& what, const std::function<bool()>& is_so);
  // By the admin service; asks again while the cluster does not answer.
  template <typename Request, typename Response>
  absl::Status Ask(grpc::Status (v1::AdminService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                   const Request& request, Response* response) {
    const absl::Time give_up = absl::Now() + kDrawPatience;
    absl::Status status;
    do {
      const auto stub = Admin();
      status = internal::ToAbslStatus(((*stub).*method)(Context().get(), request, response));
    } while (absl::IsUnavailable(status) && absl::Now() < give_up);
    return status;
  }

  // Each knows one node.
  std::vector<std::unique_ptr<Client>> clients_;
  // By SKU and user, the id of the entry in the newest draw.
  std::map<std::string, std::map<std::string, std::string>> entries_;
  std::map<std::string, std::string> tokens_;  // by user
};

}  // namespace tranche::testing
