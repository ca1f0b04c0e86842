#include "client/load/load_result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace tranche::load {
namespace {

using internal::v1::LoadResult;
using internal::v1::LoadStep;
using ::testing::HasSubstr;
using ::testing::Not;

internal::v1::LoadHistogram MessageOf(const std::vector<uint64_t>& values_us) {
  Histogram histogram;
  for (const uint64_t value : values_us) histogram.Record(value);
  return ToMessage(histogram);
}

void AddStep(const std::string& name, const std::map<std::string, uint64_t>& outcomes,
             const std::vector<uint64_t>& accepted_us, LoadResult* result) {
  LoadStep* const step = result->add_steps();
  step->set_kind("buyer");
  step->set_step(name);
  for (const auto& [outcome, count] : outcomes) (*step->mutable_outcomes())[outcome] = count;
  *step->mutable_accepted() = MessageOf(accepted_us);
}

void AddSecond(uint64_t arrivals, uint64_t ended, uint64_t sold, LoadResult* result) {
  internal::v1::LoadSecond* const second = result->add_seconds();
  second->set_arrivals(arrivals);
  second->set_ended(ended);
  second->set_sold(sold);
}

// Two generators' parts of a sale.
LoadResult FirstPart() {
  LoadResult part;
  AddStep("claim", {{"SOLD", 2}, {"SOLD_OUT", 1}}, {1000, 3000}, &part);
  AddSecond(2, 0, 1, &part);
  AddSecond(1, 3, 1, &part);
  *part.mutable_lag() = MessageOf({10, 20, 30});
  return part;
}
LoadResult SecondPart() {
  LoadResult part;
  AddStep("claim", {{"SOLD", 1}, {"UNKNOWN", 4}}, {2000}, &part);
  AddStep("pay", {{"CONFIRMED", 1}}, {500}, &part);
  AddSecond(5, 5, 1, &part);
  *part.mutable_lag() = MessageOf({40});
  return part;
}

ScenarioReport ReportOf(LoadResult result) {
  ScenarioReport report;
  report.scenario.name = "a sale";
  report.scenario.phases = {{.name = "spike", .to = 5, .length = absl::Seconds(2)}};
  report.version = "1.2.3";
  report.began = absl::UnixEpoch();
  report.users = "buyer-1";
  report.result = std::move(result);
  report.generators = {{.name = "h:1", .clock_ahead = absl::Milliseconds(2), .clock_error = absl::Microseconds(100)}};
  return report;
}

nlohmann::json JsonOf(const ScenarioReport& report) {
  return nlohmann::json::parse(ReportJson(report), /*cb=*/nullptr, /*allow_exceptions=*/false);
}

TEST(LoadResultTest, PartsAddUpExactly) {
  LoadResult sum;
  Merge(FirstPart(), &sum);
  Merge(SecondPart(), &sum);
  ASSERT_EQ(sum.steps_size(), 2);
  EXPECT_EQ(sum.steps(0).outcomes().at("SOLD"), 3u);
  EXPECT_EQ(sum.steps(0).outcomes().at("SOLD_OUT"), 1u);
  EXPECT_EQ(sum.steps(0).outcomes().at("UNKNOWN"), 4u);
  EXPECT_EQ(sum.steps(0).accepted().SerializeAsString(), MessageOf({1000, 2000, 3000}).SerializeAsString());
  EXPECT_EQ(sum.steps(1).step(), "pay");
  ASSERT_EQ(sum.seconds_size(), 2);
  EXPECT_EQ(sum.seconds(0).arrivals(), 7u);
  EXPECT_EQ(sum.seconds(0).sold(), 2u);
  EXPECT_EQ(sum.seconds(1).ended(), 3u);
  EXPECT_EQ(sum.lag().SerializeAsString(), MessageOf({10, 20, 30, 40}).SerializeAsString());
}

TEST(LoadResultTest, WhatOneGeneratorWasStoppedInIsNotWhole) {
  LoadResult sum;
  LoadResult stopped = FirstPart();
  stopped.set_stopped(true);
  Merge(stopped, &sum);
  Merge(SecondPart(), &sum);
  EXPECT_TRUE(sum.stopped());
  EXPECT_FALSE(ReportOf(sum).complete());
}

TEST(LoadResultTest, AResultOfSomebodyElseIsChecked) {
  EXPECT_TRUE(CheckResult(FirstPart()).ok());
  LoadResult uneven = FirstPart();
  uneven.mutable_steps(0)->mutable_accepted()->add_buckets(1);
  EXPECT_FALSE(CheckResult(uneven).ok());
  LoadResult beyond = FirstPart();
  beyond.mutable_lag()->add_buckets(static_cast<uint32_t>(Histogram::Buckets()));
  beyond.mutable_lag()->add_counts(1);
  EXPECT_FALSE(CheckResult(beyond).ok());
}

TEST(LoadResultTest, TheJsonHasTheFiguresAndTheValues) {
  LoadResult sum;
  Merge(FirstPart(), &sum);
  Merge(SecondPart(), &sum);
  const nlohmann::json json = JsonOf(ReportOf(sum));
  EXPECT_EQ(json["format"], 1);
  EXPECT_EQ(json["complete"], true);
  EXPECT_EQ(json["totals"]["arrivals"], 8);
  EXPECT_EQ(json["totals"]["sold"], 3);
  EXPECT_EQ(json["seconds"]["arrivals"], nlohmann::json::array({7, 1}));
  EXPECT_EQ(json["seconds"]["under_way"], nlohmann::json::array({2, 0}));
  const nlohmann::json& claim = json["steps"][0];
  EXPECT_EQ(claim["outcomes"]["SOLD"], 3);
  EXPECT_EQ(claim["latency_ms"]["accepted"]["count"], 3);
  EXPECT_EQ(claim["latency_ms"]["accepted"]["max"], 3.0);
  EXPECT_EQ(claim["latency_ms"]["accepted"]["values"].size(), 3u);
  EXPECT_EQ(claim["latency_ms"]["accepted"]["values"][0][1], 1);
  EXPECT_EQ(json["phases"][0]["name"], "spike");
  EXPECT_EQ(json["generators"][0]["clock_ahead_ms"], 2.0);
}

TEST(LoadResultTest, ALostGeneratorIsToldAndTheResultIsIncomplete) {
  ScenarioReport report = ReportOf(FirstPart());
  EXPECT_THAT(ReportTable(report), Not(HasSubstr("INCOMPLETE")));
  report.generators.push_back({.name = "h:2", .failure = "it died"});
  EXPECT_THAT(ReportTable(report), HasSubstr("its share is missing: it died"));
  EXPECT_THAT(ReportTable(report), HasSubstr("INCOMPLETE"));
  EXPECT_EQ(JsonOf(report)["complete"], false);
}

}  // namespace
}  // namespace tranche::load
