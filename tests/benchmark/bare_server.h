// The reference for durable reservations over a stream: the procedure commit_reservations behind a bare gRPC stream. It
// checks nothing, counts nothing and keeps no slices: claims go from the frames straight into batches.
#pragma once

#include <string>

#include "storage/ledger/incarnation_id.h"

namespace tranche::benchmark {

// As ServeInChild. The claims are those of `incarnation`, which holds the units, at the database `dsn`.
int ServeBare(const std::string& dsn, storage::IncarnationId incarnation, int lanes, const std::string& port_file);

}  // namespace tranche::benchmark
