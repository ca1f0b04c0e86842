// What a peer's server answers, as a front node would: the same messages, the same reasons, the same errors. So the
// generator cannot tell it from a node, and pays the same for its answers. All functions are thread-safe.
#pragma once

#include <grpcpp/grpcpp.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tests/benchmark/peers/call_queue.h"
#include "tests/benchmark/peers/peer.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::peers {

// An error as a front node would answer it.
absl::StatusOr<Claim> ReadClaim(const v1::CreateReservationRequest& request);

// Finishes the call.
void Answer(const PendingCall& call, const absl::StatusOr<Outcome>& outcome);

// For an error that says nothing about the sale.
grpc::Status ErrorStatus(const absl::Status& error);

// RESOURCE_EXHAUSTED with the reason OVERLOADED: nothing was done.
grpc::Status OverloadedStatus(const char* message);

}  // namespace tranche::peers
