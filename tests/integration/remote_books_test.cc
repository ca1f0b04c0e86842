// The ledger's side of a reconciliation over real gRPC: streams that break continue where they were.
#include "client/ctl/remote_books.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <sstream>

#include "absl/strings/str_cat.h"

namespace tranche::ctl {
namespace {

using ::testing::ElementsAre;

std::string IdText(int n) { return absl::StrCat("00000000-0000-0000-0000-00000000000", n); }

// Six reservations, two per message; each stream breaks after its first message, until the last one.
class BreakingAdmin final : public v1::AdminService::Service {
 public:
  BreakingAdmin() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~BreakingAdmin() override { server_->Shutdown(std::chrono::system_clock::now()); }
  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  grpc::Status ExportPayments(grpc::ServerContext* context, const v1::ExportPaymentsRequest* request,
                              grpc::ServerWriter<v1::ExportPaymentsResponse>* writer) override {
    begun_after.push_back(request->after_reservation_id());
    if (refuse) return {grpc::StatusCode::PERMISSION_DENIED, "no"};
    const int first = request->after_reservation_id().empty() ? 1 : request->after_reservation_id().back() - '0' + 1;
    v1::ExportPaymentsResponse response;
    for (int n = first; n < first + 2; ++n) response.add_entries()->set_reservation_id(IdText(n));
    if (first < 5) response.set_read_up_to(IdText(first + 1));
    writer->Write(response);
    if (first >= 5) return grpc::Status::OK;
    // One breaks with an error, one just ends.
    return first == 1 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "gone") : grpc::Status::OK;
  }

  bool refuse = false;
  std::vector<std::string> begun_after;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

class RemoteBooksTest : public ::testing::Test {
 protected:
  RemoteBooksTest() { session_.endpoints = admin_.address(); }
  std::unique_ptr<reconcile::EntryStream> Export() {
    auto streams = books_.Export({0, 1});
    EXPECT_TRUE(streams.ok());
    return reconcile::MergeEntries(*std::move(streams));
  }

  BreakingAdmin admin_;
  std::ostringstream out_;
  Session session_{out_, out_};
  RemoteBooks books_{&session_};
};

TEST_F(RemoteBooksTest, AStreamThatBreaksGoesOnWhereItWas) {
  const auto stream = Export();
  std::vector<std::string> ids;
  reconcile::LedgerEntry entry;
  while (true) {
    const auto there = stream->Next(&entry);
    ASSERT_TRUE(there.ok()) << there.status();
    if (!*there) break;
    ids.push_back(reconcile::FormatReservationId(entry.reservation_id));
  }
  EXPECT_THAT(ids, ElementsAre(IdText(1), IdText(2), IdText(3), IdText(4), IdText(5), IdText(6)));
  EXPECT_THAT(admin_.begun_after, ElementsAre("", IdText(2), IdText(4)));
}

TEST_F(RemoteBooksTest, ARefusalIsNotRepeated) {
  admin_.refuse = true;
  reconcile::LedgerEntry entry;
  EXPECT_EQ(Export()->Next(&entry).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(admin_.begun_after.size(), 1U);
}

TEST_F(RemoteBooksTest, AStreamMayBeLeftInTheMiddle) {
  reconcile::LedgerEntry entry;
  EXPECT_TRUE(*Export()->Next(&entry));
}

}  // namespace
}  // namespace tranche::ctl
