#include "client/load/reader.h"

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/internal/connection.h"
#include "client/load/earlier_run.h"
#include "tests/unit/client/scripted_stub.h"

namespace tranche::load {
namespace {

using internal::NodeError;
using internal::Script;

class ReaderTest : public ::testing::Test {
 protected:
  std::unique_ptr<Client> MakeClient() {
    ClientOptions options;
    options.endpoints = {"n0:1"};
    options.retry.max_attempts = 1;
    std::vector<std::shared_ptr<internal::Stub>> stubs = {std::make_shared<internal::ScriptedStub>(0, script_)};
    return std::make_unique<Client>(std::make_shared<internal::Connection>(
        options, std::move(stubs), std::make_shared<internal::ManualScheduler>()));
  }

  std::unique_ptr<Reader> MakeReader(int reservations, int max_in_flight) {
    std::vector<KnownReservation> known;
    for (int i = 0; i < reservations; ++i) known.push_back({absl::StrCat("id-", i), absl::StrCat("sku-", i)});
    return std::make_unique<Reader>(/*per_second=*/1, max_in_flight, MakeClient(), std::move(known));
  }

  // A file of that text; its path.
  static std::string FileOf(const std::string& text) {
    std::string path = ::testing::TempDir() + "/reader_test.reservations";
    std::ofstream(path, std::ios::trunc) << text;
    return path;
  }

  Script script_;
};

TEST_F(ReaderTest, TheKindsTakeTurns) {
  const std::unique_ptr<Reader> reader = MakeReader(12, /*max_in_flight=*/10);
  script_.get = {tranche::v1::Reservation(), tranche::v1::Reservation()};
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(reader->SendNext(absl::Now()));
  EXPECT_EQ(script_.gets, (std::vector<std::string>{"id-0", "id-1"}));
  ASSERT_EQ(script_.batch_get.requests.size(), 2u);
  EXPECT_EQ(script_.batch_get.requests[0].reservation_ids_size(), 10);
  EXPECT_EQ(script_.batch_get.requests[1].reservation_ids(0), "id-1");
  ASSERT_EQ(script_.get_sku.requests.size(), 2u);
  EXPECT_EQ(script_.get_sku.requests[1].sku_id(), "sku-1");
  EXPECT_EQ(reader->answers(ReadKind::kGet).at("OK"), 2u);
  EXPECT_EQ(reader->latency(ReadKind::kBatchGet).count(), 2u);
}

TEST_F(ReaderTest, NoReservationIsTwiceInABatch) {
  const std::unique_ptr<Reader> reader = MakeReader(2, /*max_in_flight=*/10);
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(reader->SendNext(absl::Now()));
  EXPECT_EQ(script_.batch_get.requests.at(0).reservation_ids_size(), 2);
}

TEST_F(ReaderTest, ARefusalIsNamedAndHasNoLatency) {
  const std::unique_ptr<Reader> reader = MakeReader(1, /*max_in_flight=*/10);
  script_.get = {NodeError(absl::StatusCode::kResourceExhausted, "OVERLOADED")};
  EXPECT_TRUE(reader->SendNext(absl::Now()));
  EXPECT_EQ(reader->answers(ReadKind::kGet), (Reader::Answers{{"OVERLOADED", 1}}));
  EXPECT_EQ(reader->latency(ReadKind::kGet).count(), 0u);
}

TEST_F(ReaderTest, WhatIsLateOrTooMuchIsNotSent) {
  const std::unique_ptr<Reader> full = MakeReader(1, /*max_in_flight=*/0);
  EXPECT_FALSE(full->SendNext(absl::Now()));
  EXPECT_EQ(full->not_sent(), 1u);
  const std::unique_ptr<Reader> late = MakeReader(1, /*max_in_flight=*/1);
  EXPECT_FALSE(late->SendNext(absl::Now() - absl::Seconds(1)));
  EXPECT_EQ(late->not_sent(), 1u);
  EXPECT_TRUE(script_.gets.empty());
}

TEST_F(ReaderTest, AnEarlierRunIsLookedUpAHundredAtOnce) {
  std::string lines;
  for (int i = 0; i < 101; ++i) absl::StrAppend(&lines, "id-", i, " tv\n");
  const auto known = ReadReservations(FileOf(lines));
  ASSERT_TRUE(known.ok()) << known.status();
  ASSERT_EQ(known->size(), 101u);
  EXPECT_EQ(known->back().sku_id, "tv");
  tranche::v1::BatchGetReservationsResponse one;
  one.add_reservations()->set_reservation_id("id-100");
  script_.batch_get.answers = {tranche::v1::BatchGetReservationsResponse(), one};
  const std::unique_ptr<Client> client = MakeClient();
  const auto found = LookUp(*client, *known);
  ASSERT_TRUE(found.ok()) << found.status();
  ASSERT_EQ(found->size(), 1u);
  EXPECT_EQ(found->front().reservation_id, "id-100");
  ASSERT_EQ(script_.batch_get.requests.size(), 2u);
  EXPECT_EQ(script_.batch_get.requests[1].reservation_ids_size(), 1);
}

TEST_F(ReaderTest, AFileThatIsNoneOfOursIsRefused) {
  for (const char* text : {"", "id-0\n", "id-0 tv more\n", "id-0 tv\n\n"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ReadReservations(FileOf(text)).status())) << text;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(ReadReservations("/no/such/file").status()));
}

}  // namespace
}  // namespace tranche::load
