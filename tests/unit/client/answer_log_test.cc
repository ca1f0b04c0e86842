#include "client/load/answer_log.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "tests/support/scratch_dir.h"

namespace tranche::load {
namespace {

TEST(AnswerLogTest, WritesOneLinePerAnswer) {
  const std::string path = ::testing::TempDir() + "/answer_log_test.answers";
  AnswerLog log;
  ASSERT_TRUE(log.Open(path).ok());
  const CreateReservation request{.sku = "tv", .user = "alice", .quantity = 2, .reservation_id = "id-1"};
  const absl::Time ended = absl::FromUnixMicros(5'000'000);
  log.Add(request, "UNKNOWN", 0, ended, absl::Milliseconds(1500));
  log.Add(request, "replayed", 1998, ended, absl::ZeroDuration());
  EXPECT_TRUE(log.Close());
  EXPECT_EQ(testing::FileContents(path),
            "id-1\ttv\talice\t2\tUNKNOWN\t0\t3500000\t5000000\n"
            "id-1\ttv\talice\t2\treplayed\t1998\t5000000\t5000000\n");
}

TEST(ChangeLogTest, WritesOneLinePerAnswer) {
  const std::string path = ::testing::TempDir() + "/change_log_test.answers";
  ChangeLog log;
  ASSERT_TRUE(log.Open(path).ok());
  const absl::Time began = absl::FromUnixMicros(5'000'000);
  const absl::Time ended = absl::FromUnixMicros(6'500'000);
  Reservation reservation;
  reservation.reservation_id = "id-1";
  reservation.extensions = 2;
  log.Add({ChangeKind::kExtend, reservation}, "n1:7400", "EXTENDED", began, ended);
  log.Add({ChangeKind::kConfirm, reservation}, "n2:7400", "UNKNOWN", began, ended);
  EXPECT_TRUE(log.Close());
  EXPECT_EQ(testing::FileContents(path),
            "id-1\textend\tn1:7400\t3\tEXTENDED\t5000000\t6500000\n"
            "id-1\tconfirm\tn2:7400\tpay-id-1\tUNKNOWN\t5000000\t6500000\n");
}

TEST(AnswerLogTest, SaysWhenItCannotWrite) {
  AnswerLog log;
  EXPECT_EQ(log.Open("/nowhere/answers").code(), absl::StatusCode::kInvalidArgument);
}

TEST(AnswerLogTest, SaysWhenNotEverythingWasWritten) {
  AnswerLog log;
  ASSERT_TRUE(log.Open("/dev/full").ok());
  log.Add({}, "created", 1, absl::Now(), absl::ZeroDuration());
  EXPECT_FALSE(log.Close());
}

TEST(AnswerLogTest, DoesNothingUnlessOpen) {
  AnswerLog log;
  log.Add({}, "created", 1, absl::Now(), absl::ZeroDuration());
  EXPECT_TRUE(log.Close());
}

}  // namespace
}  // namespace tranche::load
