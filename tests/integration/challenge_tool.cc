// Issues and checks challenges for challenge_test.py, with one key.
//
//     challenge_tool secret KEY
//     challenge_tool issue  KEY SKU USER BITS LIFETIME_S NOW_S
//     challenge_tool check  KEY SKU USER BITS NOW_S SOLUTION
//
// KEY: 32 bytes in hex. Prints what altcha-lib calls the secret; the challenge; what is wrong with the solution, or
// "ok".
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/time/time.h"
#include "glog/logging.h"
#include "server/admission/challenge.h"
#include "server/admission/front_keys.h"
#include "storage/ledger/front_ledger.h"

namespace tranche::server {
namespace {

int64_t Number(const std::string& text) {
  int64_t number = 0;
  CHECK(absl::SimpleAtoi(text, &number)) << text;
  return number;
}

std::string Run(const std::vector<std::string>& words) {
  CHECK_GE(words.size(), 2u) << "usage: see the file";
  const storage::FrontKey key = {
      .id = 1, .secret = absl::HexStringToBytes(words[1]), .use = storage::FrontKey::Use::kCurrent, .since = {}};
  const FrontKeys keys(std::vector<storage::FrontKey>{key});
  CHECK(keys.current() != nullptr) << "KEY must be 32 bytes";
  if (words[0] == "secret") return absl::BytesToHexString(keys.current()->challenge_key);
  CHECK_EQ(words.size(), 7u) << "usage: see the file";
  const int bits = static_cast<int>(Number(words[4]));
  if (words[0] == "issue") {
    return IssueChallenge(keys, words[2], words[3], bits, absl::Seconds(Number(words[5])),
                          absl::FromUnixSeconds(Number(words[6])))
        ->json;
  }
  CHECK_EQ(words[0], "check");
  const std::string problem =
      ChallengeProblem(keys, words[6], words[2], words[3], bits, absl::FromUnixSeconds(Number(words[5])));
  return problem.empty() ? "ok" : problem;
}

}  // namespace
}  // namespace tranche::server

int main(int argc, char** argv) {
  std::cout << tranche::server::Run(std::vector<std::string>(argv + 1, argv + argc)) << "\n";
  return EXIT_SUCCESS;
}
