// ReservationService: which handler answers which call.
#pragma once

#include <cstdint>
#include <vector>

#include "server/handlers/cart_handler.h"
#include "server/handlers/change_handler.h"
#include "server/handlers/claim_handler.h"
#include "server/handlers/list_handler.h"
#include "server/handlers/reservation_handler.h"
#include "server/handlers/watch_hub.h"
#include "server/rpc/call_service.h"
#include "server/services/reservation_stream.h"
#include "server/services/reservation_stream_set.h"
#include "server/services/visitor_addresses.h"

namespace tranche::server {

struct ReservationHandlers {
  ReservationHandler* reservation = nullptr;
  CartHandler* cart = nullptr;
  ChangeHandler* change = nullptr;
  ListHandler* list = nullptr;
  WatchHub* watch = nullptr;
  VisitorAddresses visitors = {};
  ClaimHandler* claim = nullptr;
};

// `streams` keeps the open ones.
std::vector<CallEntry> ReservationCalls(const ReservationHandlers& handlers, ReservationStreamSet* streams,
                                        ReservationStreamOptions stream_options);

class ReservationServiceImpl final {
 public:
  // The frame needs deadlines and open_calls: every call and every request of a stream is counted, except watches,
  // which have no deadline. Outlived by everything that handlers and frame point to.
  ReservationServiceImpl(const ReservationHandlers& handlers, const CallFrame& frame,
                         ReservationStreamOptions stream_options);

  // To be registered with the gRPC server.
  grpc::Service* service() { return &service_; }

  // Ends every stream, and every later one, once the requests that it has accepted are answered.
  void StopStreams() { streams_.StopAll(); }

  // Looks at every stream (ReservationStream::Check), on the caller's thread.
  void CheckStreams() { streams_.CheckAll(clock_->Now()); }

  int open_streams() { return streams_.budget().streams(); }
  // Of all streams: requests that are not answered, or whose answers are not taken, and one for each stream that reads.
  int64_t unread_answers() { return streams_.budget().answers(); }

 private:
  storage::Clock* const clock_;
  ReservationStreamSet streams_;
  CallService service_;
};

}  // namespace tranche::server
