// What a node's own code costs for a sold-out claim that comes in a frame: from the frame's bytes to the bytes of the
// answers, with the handler, the seller and what counts open calls, but without gRPC.
//
// "claims" is claims per second of CPU time; "allocations" is per claim.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "glog/logging.h"
#include "quota/sale/seller.h"
#include "server/handlers/reservation_handler.h"
#include "server/rpc/call_frame.h"
#include "server/rpc/open_calls.h"
#include "server/services/answer_queue.h"
#include "server/services/request_message.h"
#include "server/services/stream_item.h"
#include "tests/support/stub_books.h"

namespace {

std::atomic<int64_t> allocations{0};

}  // namespace

// Inlined, the compiler would warn that the two do not belong together.
[[gnu::noinline]] void* operator new(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  void* const memory = std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace tranche::server {
namespace {

std::string FrameOfClaims(int claims) {
  v1::StreamReservationsRequest frame;
  for (int i = 0; i < claims; ++i) {
    v1::StreamReservationsItem* const item = frame.add_items();
    item->set_sequence(static_cast<uint64_t>(i) + 1);
    item->mutable_timeout()->set_seconds(1);
    item->mutable_create()->set_reservation_id("01890a5d-ac96-774b-bcce-b302099a8057");
    item->mutable_create()->set_sku_id("tv");
    item->mutable_create()->set_user_id(absl::StrCat("a-buyer-with-a-long-name-", i));
    item->mutable_create()->set_quantity(1);
  }
  return frame.SerializeAsString();
}

// A front node for which one SKU is sold out.
class SoldOutNode {
 public:
  SoldOutNode() {
    slices_.Begin(1);
    const std::shared_ptr<quota::Slice> slice = slices_.FindOrAdd("tv");
    slice->counter().Apply(0, 1);
    quota::SkuTerms terms;
    terms.at_most = 0;
    slice->SetTerms(terms);
    handler_.StartServing();
  }

  void Refuse(const v1::StreamReservationsItem& item) {
    ServeItem({&handler_, nullptr, nullptr}, frame_, item,
              [this, sequence = item.sequence()](absl::StatusOr<v1::StreamReservationsResult> result) {
                CHECK(absl::IsResourceExhausted(result.status())) << result.status();
                absl::MutexLock lock(&mutex_);
                answers_.AddRefusal(sequence, result.status(), /*room=*/1);
              });
  }
  void UseFrames() {
    absl::MutexLock lock(&mutex_);
    answers_.UseFrames();
  }
  AnswerMessage TakeAnswers() {
    absl::MutexLock lock(&mutex_);
    return answers_.Take();
  }

 private:
  tranche::testing::StubBooks books_;
  quota::SliceTable slices_;
  quota::SkuDirectory directory_{&books_, storage::Clock::Real()};
  quota::WaitingRoom room_{&slices_, storage::Clock::Real(), {}};
  quota::Seller seller_{&slices_, &directory_, &books_, storage::Clock::Real(), &room_};
  ReservationHandler handler_{[this](storage::ReservationClaim claim, absl::Time deadline, bool may_exist,
                                     quota::SaleDone done, quota::Visitor visitor) {
                                seller_.Sell(std::move(claim), deadline, may_exist, std::move(done),
                                             std::move(visitor));
                              },
                              &books_, storage::Clock::Real()};
  OpenCalls open_calls_{storage::Clock::Real(), absl::Seconds(30)};
  const CallFrame frame_{.clock = storage::Clock::Real(), .deadlines = CallDeadlines{}, .open_calls = &open_calls_};
  absl::Mutex mutex_;
  AnswerQueue answers_ ABSL_GUARDED_BY(mutex_);
};

void Report(benchmark::State& state, int64_t claims, int64_t allocations_before) {
  state.counters["claims"] = benchmark::Counter(static_cast<double>(claims), benchmark::Counter::kIsRate);
  state.counters["allocations"] =
      static_cast<double>(allocations.load() - allocations_before) / static_cast<double>(std::max<int64_t>(1, claims));
}

// Only the frame's parsing.
void ParseFrame(benchmark::State& state) {
  const std::string frame = FrameOfClaims(static_cast<int>(state.range(0)));
  v1::StreamReservationsItem item;
  int64_t claims = 0;
  const int64_t before = allocations.load();
  for (auto _ : state) {
    RequestMessage message;
    CHECK(message.Read(frame).ok());
    while (message.Next(&item) == RequestMessage::Found::kRequest) ++claims;
  }
  Report(state, claims, before);
}
BENCHMARK(ParseFrame)->Arg(1)->Arg(500);

void RefuseFrame(benchmark::State& state) {
  const std::string frame = FrameOfClaims(static_cast<int>(state.range(0)));
  SoldOutNode node;
  node.UseFrames();
  v1::StreamReservationsItem item;
  int64_t claims = 0;
  const int64_t before = allocations.load();
  for (auto _ : state) {
    RequestMessage message;
    CHECK(message.Read(frame).ok());
    for (; message.Next(&item) == RequestMessage::Found::kRequest; ++claims) node.Refuse(item);
    benchmark::DoNotOptimize(node.TakeAnswers());
  }
  Report(state, claims, before);
}
BENCHMARK(RefuseFrame)->Arg(1)->Arg(500);

}  // namespace
}  // namespace tranche::server

int main(int argc, char** argv) {
  // As the servers do: it costs more than all the rest.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
