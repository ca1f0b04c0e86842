// A caller of unary calls with long answers who does not read, against a front node as a process.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/integration/sale_fixture.h"
#include "tests/support/raw_call.h"
#include "tests/support/unread_call.h"
#include "tranche/uuid.h"
#include "tranche/v1/reservation_service.grpc.pb.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRANCHE_ADDRESS_SANITIZER
#endif
#endif

namespace tranche::testing {
namespace {

constexpr char kList[] = "/tranche.v1.ReservationService/ListReservations";
constexpr int kReservations = 1000;  // more than 300 KiB as a list
constexpr absl::Duration kListPatience = absl::Seconds(120);
// Far more than fit into what a connection may leave unread: without a limit they take 100 MiB.
constexpr int kCalls = 300;
constexpr int64_t kShareMib = 16;
#if defined(TRANCHE_ADDRESS_SANITIZER)
// Freed memory is kept for a while.
constexpr int64_t kMostListMib = 4 * kShareMib + 512;
#else
constexpr int64_t kMostListMib = 4 * kShareMib;
#endif

class UnreadListTest : public SaleTest {
 protected:
  // Over one stream.
  void Reserve(const std::string& sku) {
    const auto stub = v1::ReservationService::NewStub(UnreadChannel(cluster_->endpoint(0)));
    grpc::ClientContext context;
    context.set_deadline(absl::ToChronoTime(absl::Now() + kListPatience));
    const auto stream = stub->StreamReservations(&context);
    for (int i = 0; i < kReservations; ++i) {
      v1::StreamReservationsRequest request;
      request.mutable_create()->set_sku_id(sku);
      request.mutable_create()->set_user_id(absl::StrCat(std::string(120, 'u'), i));
      request.mutable_create()->set_order_reference(std::string(128, 'o'));
      request.mutable_create()->set_quantity(1);
      request.mutable_create()->set_reservation_id(MakeUuidV7());
      ASSERT_TRUE(stream->Write(request));
    }
    ASSERT_TRUE(stream->WritesDone());
    v1::StreamReservationsResponse response;
    int created = 0;
    while (stream->Read(&response)) created += response.has_created() ? 1 : 0;
    EXPECT_EQ(created, kReservations);
    EXPECT_TRUE(stream->Finish().ok());
  }

  static std::string ListOf(const std::string& sku) {
    v1::ListReservationsRequest request;
    request.set_sku_id(sku);
    request.set_page_size(kReservations);
    return request.SerializeAsString();
  }
};

TEST_F(UnreadListTest, ACallerWhoAsksForListsAndReadsNoneCostsBoundedMemoryAndNobodyElse) {
  MiniClusterOptions options;
  options.nodes = 1;
  options.workers = 0;
  // That nothing ends by itself while the test looks.
  options.node_args = {"--unread-memory-per-connection-mib",
                       absl::StrCat(kShareMib),
                       "--unread-timeout-ms",
                       "600000",
                       "--default-deadline-ms",
                       "30000"};
  StartCluster(options);
  OpenSale("tv", kReservations);
  OpenSale("book", 10);
  Reserve("tv");
  const auto greedy = UnreadChannel(cluster_->endpoint(0));
  const auto other = UnreadChannel(cluster_->endpoint(0));
  const std::string request = ListOf("tv");
  ASSERT_TRUE(RawCall(other, kList, request).ok());
  const int64_t before = PeakMib(0);

  std::vector<std::unique_ptr<UnreadCall>> calls;
  for (int i = 0; i < kCalls; ++i) {
    calls.push_back(std::make_unique<UnreadCall>(greedy, kList, request));
    ASSERT_TRUE(calls.back()->AwaitAnswer(kListPatience));
  }
  EXPECT_LT(PeakMib(0) - before, kMostListMib);
  std::string list;
  EXPECT_TRUE(RawCall(other, kList, request, &list).ok());
  v1::ListReservationsResponse parsed;
  EXPECT_TRUE(parsed.ParseFromString(list));
  EXPECT_GT(parsed.reservations_size(), kReservations / 2);
  EXPECT_GT(list.size(), size_t{128} << 10) << "so short that gRPC's client takes it unread";
  const auto bought = client_->Create({.sku = "book", .user = "reader"});
  EXPECT_TRUE(bought.ok()) << bought.status();

  std::map<std::string, int> ends;
  int64_t held = 0;
  int64_t longest = 0;
  for (const auto& call : calls) {
    call->Read();
    const std::string end = call->AwaitEnd(kListPatience);
    ++ends[end];
    if (end != "OK") continue;
    held += static_cast<int64_t>(call->bytes());
    longest = std::max(longest, static_cast<int64_t>(call->bytes()));
  }
  // The first ones, until there was no room for another one.
  EXPECT_EQ(ends["OK"] + ends["14 OVERLOADED"], kCalls);
  EXPECT_LE(held, kShareMib << 20);
  EXPECT_GT(held + 2 * longest, kShareMib << 20);
  EXPECT_TRUE(RawCall(greedy, kList, request).ok()) << "it reads now";
  RecordProperty("peak_mib", static_cast<int>(PeakMib(0) - before));
}

}  // namespace
}  // namespace tranche::testing
