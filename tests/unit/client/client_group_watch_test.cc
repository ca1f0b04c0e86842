// A watch of a group tells each state once, and goes on at another node.

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "client/internal/watch_session.h"
#include "google/rpc/error_details.pb.h"
#include "tests/unit/client/connection_fixture.h"
#include "tests/unit/client/scripted_stub.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

constexpr char kWatchedGroup[] = "0f0e0d0c-0b0a-4908-8706-050403020100";

class ClientGroupWatchTest : public ConnectionFixture {
 protected:
  void Watch() {
    tranche::v1::WatchGroupRequest request;
    request.set_group_id(kWatchedGroup);
    request.set_sku_id("tv");
    session_ = std::make_shared<GroupWatchSession>(connection_->environment(), request, WatchOptions());
    session_->Start();
  }
  ScriptedGroupWatch& stream(size_t number) { return *script_.group_watches.at(number); }
  static tranche::v1::WatchGroupResponse Told(int32_t revision, int32_t taken, tranche::v1::GroupState state) {
    tranche::v1::WatchGroupResponse response;
    response.mutable_group()->set_group_id(kWatchedGroup);
    response.mutable_group()->set_seats(3);
    response.mutable_group()->set_seats_taken(taken);
    response.mutable_group()->set_state(state);
    response.mutable_group()->set_revision(revision);
    return response;
  }
  // Nothing: it is over, or nothing new has come.
  std::optional<Group> Next() {
    const auto next = session_->Next(absl::ZeroDuration());
    if (!next.ok()) {
      EXPECT_TRUE(absl::IsDeadlineExceeded(next.status())) << next.status();
      return std::nullopt;
    }
    return *next;
  }

  std::shared_ptr<GroupWatchSession> session_;
};

TEST_F(ClientGroupWatchTest, EachStateIsToldOnceUntilTheLast) {
  Open(1);
  Watch();
  EXPECT_EQ(script_.watched_groups.at(0).group_id(), kWatchedGroup);
  EXPECT_EQ(script_.watched_groups.at(0).sku_id(), "tv");
  stream(0).Tell(Told(2, 1, tranche::v1::GROUP_STATE_FORMING));
  EXPECT_EQ(Next().value_or(Group()).seats_taken, 1);
  stream(0).Tell(Told(2, 1, tranche::v1::GROUP_STATE_FORMING));  // as nodes do when nothing happens
  EXPECT_FALSE(Next().has_value());
  stream(0).Tell(Told(4, 3, tranche::v1::GROUP_STATE_FILLED));
  stream(0).End(grpc::Status::OK);
  const Group last = Next().value_or(Group());
  EXPECT_EQ(last.state, GroupState::kFilled);
  EXPECT_EQ(last.seats_taken, 3);
  const auto over = session_->Next(absl::ZeroDuration());
  ASSERT_TRUE(over.ok()) << over.status();
  EXPECT_FALSE(over->has_value());
}

TEST_F(ClientGroupWatchTest, ItGoesOnAtAnotherNode) {
  Open(2);
  Watch();
  stream(0).Tell(Told(2, 1, tranche::v1::GROUP_STATE_FORMING));
  EXPECT_TRUE(Next().has_value());
  stream(0).End(grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed"));
  scheduler_->RunAll();
  ASSERT_EQ(script_.group_watches.size(), 2u);
  EXPECT_NE(stream(0).node, stream(1).node);
  stream(1).Tell(Told(2, 1, tranche::v1::GROUP_STATE_FORMING));
  EXPECT_FALSE(Next().has_value()) << "told twice";
  stream(1).Tell(Told(3, 1, tranche::v1::GROUP_STATE_CANCELLED));
  stream(1).End(grpc::Status::OK);
  EXPECT_EQ(Next().value_or(Group()).state, GroupState::kCancelled);
}

// A refusal is the end: no node would answer otherwise.
TEST_F(ClientGroupWatchTest, AGroupThatDoesNotExistEndsIt) {
  Open(2);
  Watch();
  google::rpc::Status details;
  details.set_code(grpc::StatusCode::NOT_FOUND);
  google::rpc::ErrorInfo info;
  info.set_domain(kErrorDomain);
  info.set_reason("GROUP_NOT_FOUND");
  details.add_details()->PackFrom(info);
  stream(0).End(grpc::Status(grpc::StatusCode::NOT_FOUND, "none", details.SerializeAsString()));
  EXPECT_EQ(ReasonOf(session_->Next(absl::ZeroDuration()).status()), Reason::kGroupNotFound);
  EXPECT_EQ(script_.group_watches.size(), 1u);
}

TEST_F(ClientGroupWatchTest, ACancelledOneSaysSo) {
  Open(1);
  Watch();
  session_->Cancel();
  stream(0).End(grpc::Status::CANCELLED);
  EXPECT_TRUE(absl::IsCancelled(session_->Next(absl::ZeroDuration()).status()));
  EXPECT_EQ(script_.group_watches.size(), 1u);
}

}  // namespace
}  // namespace tranche::internal
