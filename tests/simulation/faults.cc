#include "tests/simulation/faults.h"

namespace tranche::simulation {

const char* NameOf(Fault fault) {
  static constexpr const char* kNames[kFaultKinds] = {"ledger call fails",
                                                      "ledger answer lost",
                                                      "ledger call lost",
                                                      "ledger deadlock",
                                                      "ledger late",
                                                      "coordination read fails",
                                                      "coordination answer lost",
                                                      "coordination write lost",
                                                      "watch event lost",
                                                      "crash",
                                                      "pause",
                                                      "restart",
                                                      "probes lie",
                                                      "session expires",
                                                      "session cut off",
                                                      "follower isolated",
                                                      "follower lags",
                                                      "ZooKeeper down",
                                                      "tree deleted",
                                                      "tree restored",
                                                      "announcement by hand",
                                                      "new history",
                                                      "ledger down",
                                                      "ledger restored",
                                                      "ledger promoted",
                                                      "ledger cut off from one",
                                                      "SKU locked",
                                                      "request duplicated",
                                                      "broker down",
                                                      "broker alarm",
                                                      "broker connections lost",
                                                      "confirm lost",
                                                      "consumer cut off",
                                                      "consumer dies"};
  return kNames[static_cast<int>(fault)];
}

}  // namespace tranche::simulation
