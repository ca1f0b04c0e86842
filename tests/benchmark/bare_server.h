// The reference for durable reservations over a stream: the procedure commit_reservations behind a bare gRPC stream. It
// checks nothing, counts nothing and keeps no slices: claims go from the frames straight into batches.
#pragma once

#include <string>

#include "storage/ledger/incarnation_id.h"
#include "storage/ledger/reservation_ledger.h"

namespace tranche::benchmark {

// As ServeInChild. The claims are those of `incarnation`, which holds the units, at the database `dsn`. With
// kSkipLocked, each SKU must have as many slots as there are lanes: nothing is tried again.
int ServeBare(const std::string& dsn, storage::IncarnationId incarnation, int lanes, storage::LockMode mode,
              const std::string& port_file);

}  // namespace tranche::benchmark
