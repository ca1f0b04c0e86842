// The contract that all peers keep, as a suite of tests: instantiate PeerContract with the kinds to be tested.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "tests/benchmark/peers/peer.h"
#include "tests/benchmark/peers/peer_kinds.h"

namespace tranche::peers {

struct PeerCase {
  std::string kind = {};
  // Of servers that the test starts when it is first called. nullopt: they are not installed, and the test is skipped.
  std::optional<Addresses> (*addresses)() = nullptr;
  bool oversells = false;  // known to: how much it sells in a race is not looked at
};

void PrintTo(const PeerCase& one, std::ostream* out);
// For INSTANTIATE_TEST_SUITE_P.
std::string PeerCaseName(const ::testing::TestParamInfo<PeerCase>& info);

class PeerContract : public ::testing::TestWithParam<PeerCase> {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Prepares and starts the peer. An error fails the test.
  void Open(int skus, int64_t stock);
  // nullptr, and the test has failed, if it cannot be made.
  std::unique_ptr<Seller> NewSeller();
  Stored Count();

  std::unique_ptr<Peer> peer_;
};

}  // namespace tranche::peers
