// What waiting rooms announce, on the fake and on a real ZooKeeper.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>

#include "quota/coordination/coordination_paths.h"
#include "quota/coordination/room_announcements.h"
#include "quota/fake/fake_coordination.h"
#include "quota/zookeeper/zookeeper_coordination.h"
#include "tests/support/sessions.h"
#include "tests/support/test_zookeeper.h"

namespace tranche::quota {
namespace {

using internal::v1::RoomBoards;
using internal::v1::RoomReport;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;

// A server with a tree of the test's own.
class RoomServer {
 public:
  virtual ~RoomServer() = default;
  virtual CoordinationConnector& Connector() = 0;
};

class FakeRoomServer : public RoomServer {
 public:
  CoordinationConnector& Connector() override { return connector_; }

 private:
  FakeZookeeper zookeeper_;
  FakeConnector connector_{&zookeeper_};
};

class RealRoomServer : public RoomServer {
 public:
  CoordinationConnector& Connector() override { return connector_; }

 private:
  const std::string servers_ = testing::SharedZookeeper();
  testing::TestRoot root_;
  ZookeeperConnector connector_{
      ZookeeperOptions{.servers = servers_, .root = root_.path(), .reconnect_jitter = absl::ZeroDuration()}};
};

struct RoomServerFactory {
  std::string name;
  std::function<std::unique_ptr<RoomServer>()> make;

  friend void PrintTo(const RoomServerFactory& factory, std::ostream* out) { *out << factory.name; }
};

class RoomAnnouncementsTest : public ::testing::TestWithParam<RoomServerFactory> {
 protected:
  std::unique_ptr<Coordination> Connect() { return server_->Connector().Connect(&observer_).value(); }

  static RoomBoards Boards(const std::string& sku_id, uint64_t threshold) {
    RoomBoards boards;
    RoomBoards::Room* const room = boards.add_rooms();
    room->set_sku_id(sku_id);
    room->set_round(3);
    room->set_threshold(threshold);
    return boards;
  }

  static RoomReport Report(int64_t at_us) {
    RoomReport report;
    report.set_reported_at_us(at_us);
    return report;
  }

  // Of the node 7; 0: there is none.
  int64_t ReportedAt() {
    const auto reports = ReadRoomReports(*session_);
    EXPECT_TRUE(reports.ok()) << reports.status();
    return reports.ok() && reports->contains(7) ? reports->at(7).reported_at_us() : 0;
  }

  std::unique_ptr<RoomServer> server_ = GetParam().make();
  testing::DeafObserver observer_;  // outlives the sessions
  std::unique_ptr<Coordination> session_ = Connect();
};

TEST_P(RoomAnnouncementsTest, BoardsAreReadAsTheyWereWritten) {
  EXPECT_THAT(ReadRoomBoards(*session_)->rooms(), IsEmpty());
  ASSERT_TRUE(WriteRoomBoards(*session_, Boards("tv", ~uint64_t{0})).ok());
  const auto boards = ReadRoomBoards(*Connect());
  ASSERT_TRUE(boards.ok()) << boards.status();
  EXPECT_EQ(boards->SerializeAsString(), Boards("tv", ~uint64_t{0}).SerializeAsString());
  ASSERT_TRUE(WriteRoomBoards(*session_, RoomBoards()).ok());
  EXPECT_THAT(ReadRoomBoards(*session_)->rooms(), IsEmpty());
}

TEST_P(RoomAnnouncementsTest, BoardsThatCannotBeReadAreNone) {
  ASSERT_TRUE(session_->Set(kRoomsPath, Boards("tv", 5).SerializeAsString() + "\xff", kAnyVersion).ok());
  const auto boards = ReadRoomBoards(*session_);
  ASSERT_TRUE(boards.ok()) << boards.status();
  EXPECT_THAT(boards->rooms(), IsEmpty());
}

TEST_P(RoomAnnouncementsTest, ATreeOfAnEarlierVersionGetsThePath) {
  ASSERT_TRUE(session_->Delete(kRoomsPath, kAnyVersion).ok());
  EXPECT_THAT(ReadRoomBoards(*session_)->rooms(), IsEmpty());
  EXPECT_THAT(*ReadRoomReports(*session_), IsEmpty());
  ASSERT_TRUE(WriteRoomBoards(*session_, Boards("tv", 5)).ok());
  EXPECT_EQ(ReadRoomBoards(*session_)->rooms_size(), 1);
  ASSERT_TRUE(session_->Delete(kRoomsPath, kAnyVersion).ok());
  ASSERT_TRUE(WriteRoomReport(*session_, 7, Report(1)).ok());
  EXPECT_EQ(ReportedAt(), 1);
}

TEST_P(RoomAnnouncementsTest, AReportGoesAwayWithItsNode) {
  std::unique_ptr<Coordination> node = Connect();
  ASSERT_TRUE(WriteRoomReport(*node, 7, Report(1)).ok());
  ASSERT_TRUE(WriteRoomReport(*session_, 8, Report(2)).ok());
  EXPECT_THAT(*ReadRoomReports(*session_), ElementsAre(Key(7), Key(8)));
  ASSERT_TRUE(WriteRoomReport(*node, 7, Report(3)).ok());
  EXPECT_EQ(ReportedAt(), 3);
  node.reset();
  EXPECT_THAT(*ReadRoomReports(*session_), ElementsAre(Key(8)));
  ASSERT_TRUE(DeleteRoomReport(*session_, 8).ok());
  EXPECT_THAT(*ReadRoomReports(*session_), IsEmpty());
  EXPECT_TRUE(DeleteRoomReport(*session_, 8).ok()) << "there is none any more";
}

TEST_P(RoomAnnouncementsTest, ReportsAreReadAsTheyWereWritten) {
  RoomReport report = Report(1);
  RoomReport::Room* const room = report.add_rooms();
  room->set_sku_id("tv");
  room->set_round(3);
  room->set_threshold(~uint64_t{0});
  report.add_rooms()->set_sku_id("radio");
  ASSERT_TRUE(WriteRoomReport(*session_, 7, report).ok());
  const auto reports = ReadRoomReports(*Connect());
  ASSERT_TRUE(reports.ok()) << reports.status();
  ASSERT_THAT(*reports, ElementsAre(Key(7)));
  EXPECT_EQ(reports->at(7).SerializeAsString(), report.SerializeAsString());
  EXPECT_EQ(reports->at(7).rooms(1).threshold(), 0u) << "not told";
}

// It would vanish when that session's time is over, perhaps in the middle of a sale.
TEST_P(RoomAnnouncementsTest, AReportOfAnEarlierSessionIsReplaced) {
  std::unique_ptr<Coordination> before = Connect();
  ASSERT_TRUE(WriteRoomReport(*before, 7, Report(1)).ok());
  ASSERT_TRUE(WriteRoomReport(*session_, 7, Report(2)).ok());
  before.reset();
  EXPECT_EQ(ReportedAt(), 2);
}

TEST_P(RoomAnnouncementsTest, WhatIsNoReportOfANodeIsLeftOutAndReplaced) {
  ASSERT_TRUE(session_->Create("/rooms/stranger", "", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(session_->Create("/rooms/6", "\xff", CreateMode::kEphemeral).ok());
  ASSERT_TRUE(session_->Create("/rooms/7", Report(1).SerializeAsString(), CreateMode::kPersistent).ok());
  ASSERT_TRUE(session_->Create("/rooms/7/child", "", CreateMode::kPersistent).ok());
  EXPECT_THAT(*ReadRoomReports(*session_), IsEmpty());
  ASSERT_TRUE(WriteRoomReport(*session_, 7, Report(2)).ok());
  EXPECT_EQ(ReportedAt(), 2);
}

TEST_P(RoomAnnouncementsTest, WhatIsTooLargeIsRefused) {
  const RoomBoards large = Boards(std::string(kMaxZnodeBytes, 'x'), 5);
  EXPECT_TRUE(absl::IsInvalidArgument(WriteRoomBoards(*session_, large)));
  RoomReport report;
  report.add_rooms()->set_sku_id(std::string(kMaxZnodeBytes, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(WriteRoomReport(*session_, 7, report)));
  EXPECT_EQ(ReportedAt(), 0);
}

INSTANTIATE_TEST_SUITE_P(All, RoomAnnouncementsTest,
                         ::testing::Values(RoomServerFactory{"Fake", [] { return std::make_unique<FakeRoomServer>(); }},
                                           RoomServerFactory{"Zookeeper",
                                                             [] { return std::make_unique<RealRoomServer>(); }}),
                         [](const ::testing::TestParamInfo<RoomServerFactory>& info) { return info.param.name; });

}  // namespace
}  // namespace tranche::quota
