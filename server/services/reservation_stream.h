// One StreamReservations call.
//
//   read -> its requests, one after the other -> handler -> decided (any thread, any order) -> answers -> one write at
//   a time
//
// A request is outstanding from when it is admitted to the end of its answer's write, which ends when the caller's
// window of flow control has room for it. The stream admits no more, and so reads no more, so that HTTP/2 flow control
// holds the caller back, while
//   - max_outstanding of its requests are; payments and cancellations may be an eighth more, at least one, so that a
//     caller whose claims are slow can still settle what they hold. So it reads on at that bound. A claim that comes
//     then waits in hand, and so does what comes behind it: who keeps their claims below the bound finds changes taken
//     at once; or
//   - the answers of all streams, or of those of its caller or on its connection, take what they may (StreamBudget).
//     Requests that tell one reservation leave room there for the largest cart, which would wait forever otherwise. No
//     stream keeps room for a request that waits, so streams that wait cannot block each other.
// The requests of a frame are admitted one by one by the same rule: what there is no room for waits in the frame, as
// bytes, and the next message is read when the last of them is admitted.
//
// When the access file has changed and the caller may not go on, it takes no more, answers what it has admitted, and
// ends with the reason. It looks at each message, and several times a second.
//
// If it admits no more, for one of these reasons, and its caller takes no answer for unread_timeout, the call is
// cancelled from this side, which also frees what gRPC keeps. It cannot be finished with a reason: gRPC allows no
// finish while a write is pending, and this write stays pending until the caller reads.
#pragma once

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/rpc/call_frame.h"
#include "server/services/answer_queue.h"
#include "server/services/request_message.h"
#include "server/services/stream_budget.h"
#include "server/services/stream_item.h"
#include "tranche/v1/reservation_service.pb.h"

namespace tranche::server {

struct ReservationStreamOptions {
  int max_outstanding = 1024;         // requests of one stream that are admitted, their answers not yet written
  int max_message_bytes = 64 * 1024;  // gRPC refuses a larger one; the caller is told
  absl::Duration unread_timeout = absl::Seconds(10);
  StreamLimits limits = {};
};

// A node that takes frames says so in its initial metadata, with decimal numbers.
inline constexpr char kFrameItemsKey[] = "tranche-frame-items";
inline constexpr char kFrameBytesKey[] = "tranche-frame-bytes";
// And which kinds of items: the names of the fields of StreamReservationsItem.request that ServeItem knows.
inline constexpr char kFrameKindsKey[] = "tranche-frame-kinds";
inline constexpr char kFrameKinds[] = "create,create_cart,confirm,cancel";

class ReservationStreamSet;

// Owned by the set until gRPC is done with it, and by every request that is not decided yet, which may take longer.
class ReservationStream final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
                                public std::enable_shared_from_this<ReservationStream> {
 public:
  // The reactor to hand to gRPC. Frame, handlers and set outlive it. Each request is counted as an open call of its
  // own, and each has its own deadline.
  static ReservationStream* Start(const CallContext& call, const CallFrame& frame, const StreamHandlers& handlers,
                                  ReservationStreamSet* set, ReservationStreamOptions options);

  // Reads no more; ends with DRAINING once every request that was read is answered.
  void Stop();

  // Goes on if there is room again, ends it if its caller may not go on, and cancels the call if they do not read. To
  // be called several times within unread_timeout, by one thread.
  void Check(absl::Time now);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  ReservationStream(const CallContext& call, const CallFrame& frame, const StreamHandlers& handlers,
                    ReservationStreamSet* set, ReservationStreamOptions options)
      : call_(call),
        trace_(call.trace()),
        frame_(frame),
        handlers_(handlers),
        set_(set),
        options_(options),
        most_with_changes_(options.max_outstanding + std::max(1, options.max_outstanding / 8)),
        access_(call),
        next_most_(most_with_changes_) {}

  // For the front door. Looked for once, and not before it asks. By the thread that has set admitting_.
  const std::string& BuyerAddress();
  // Admits what is in hand while there is room. By the thread that has set admitting_.
  void Admit() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether the caller of this is to call Admit, without the lock.
  bool BeginToAdmit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndAdmitting() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LetGoOfMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there seems to be room for the next request.
  bool HasRoom() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // For a request that may come while fewer than `most` are outstanding.
  bool TakeRoom(int64_t room, int most) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // The request that was parsed last waits in the message until there is this.
  void KeepInHand(int64_t room, int most) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Decided(uint64_t sequence, int64_t room, absl::StatusOr<v1::StreamReservationsResult> result)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Whether the caller has taken nothing of what waits for them for unread_timeout.
  bool TakesNothing(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // By what the access file says now. Not once it is finished.
  void CheckAccess() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Nobody hears what is answered from now on.
  bool Unheard() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return cancelled_ || unread_ || finished_; }
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Answered(const AnswerCount& count) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FinishIfOver() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const CallContext call_;  // valid until the call is finished
  const TraceTag trace_;    // of all its requests
  const CallFrame& frame_;
  const StreamHandlers handlers_;
  ReservationStreamSet* const set_;
  const ReservationStreamOptions options_;
  const int most_with_changes_;  // that may be outstanding

  // Filled by gRPC, then emptied by OnReadDone; both only while reading_.
  grpc::ByteBuffer received_;
  // What was read last. Only for the thread that has set admitting_.
  RequestMessage message_;
  std::optional<std::string> buyer_address_;  // likewise
  // What is being written; only while writing_.
  grpc::ByteBuffer sent_;

  absl::Mutex mutex_;
  StandingAccess access_ ABSL_GUARDED_BY(mutex_);
  // Has taken room for each outstanding request, and reserved_. Absent if the stream was refused.
  std::unique_ptr<StreamShare> share_ ABSL_GUARDED_BY(mutex_);
  AnswerQueue answers_ ABSL_GUARDED_BY(mutex_);
  AnswerCount writing_count_ ABSL_GUARDED_BY(mutex_);
  int outstanding_ ABSL_GUARDED_BY(mutex_) = 0;
  // Room that was taken before the read, for the first request that it brings.
  int64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
  // What the next request in hand needs, if it was parsed and had to wait; otherwise the least that one needs.
  int64_t next_room_ ABSL_GUARDED_BY(mutex_) = 1;
  // It may come while fewer are outstanding; one that was not parsed may be a change.
  int next_most_ ABSL_GUARDED_BY(mutex_);
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;  // message_ has requests that are not admitted
  bool admitting_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;  // the caller sends no more
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;    // the caller is gone
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool unread_ ABSL_GUARDED_BY(mutex_) = false;  // the caller takes no answers
  // Not OK: why no more is taken. A message of the caller's is wrong, or they may not go on.
  absl::Status refused_ ABSL_GUARDED_BY(mutex_);
  // Check is cancelling the call, which must not be finished meanwhile: its context would vanish.
  bool cancelling_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t written_ ABSL_GUARDED_BY(mutex_) = 0;
  // At the last check at which the caller had taken something.
  int64_t written_before_ ABSL_GUARDED_BY(mutex_) = 0;
  // A first check may come while the first answer is being written: it begins the time.
  absl::Time untaken_since_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
};

}  // namespace tranche::server
