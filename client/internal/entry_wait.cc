#include "client/internal/entry_wait.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>

#include "absl/random/random.h"
#include "tranche/error.h"

namespace tranche::internal {
namespace {

// Whether the same node, or another one, may say something else later. A node that shuts down cancels calls.
bool MayPassLater(const absl::Status& error) {
  return absl::IsUnavailable(error) || absl::IsDeadlineExceeded(error) || absl::IsCancelled(error) ||
         ReasonOf(error) == Reason::kRateLimited;
}

absl::Duration WaitAfter(const absl::Status& error) {
  thread_local absl::BitGen random;
  const absl::Duration told = RetryDelayOf(error).value_or(absl::ZeroDuration());
  if (ReasonOf(error) == Reason::kRateLimited) return std::max(told, EntryWait::kLeastWait);
  return std::max(told, EntryWait::kWaitAfterError * absl::Uniform(random, 0.5, 1.0));
}

}  // namespace

void EntryWait::Start(Connection& connection, absl::Time deadline, EnterSale request, OnPlace on_place,
                      Callback callback) {
  (new EntryWait(connection, deadline, std::move(request), std::move(on_place), std::move(callback)))->Enter();
}

EntryWait::EntryWait(Connection& connection, absl::Time deadline, EnterSale request, OnPlace on_place,
                     Callback callback)
    : connection_(connection),
      environment_(connection.environment()),
      deadline_(deadline),
      request_(std::move(request)),
      on_place_(std::move(on_place)),
      callback_(std::move(callback)) {
  environment_.CallBegins();
}

EntryWait::~EntryWait() { environment_.CallEnds(); }

void EntryWait::Enter() {
  connection_.EnterSaleBefore(deadline_, request_, [this](absl::StatusOr<SaleEntry> answer) {
    if (answer.ok()) {
      OnEntry(*std::move(answer));
    } else {
      OnError(answer.status());
    }
  });
}

void EntryWait::OnEntry(SaleEntry entry) {
  // A challenge and a captcha are the buyer's to solve, also if they run no scripts.
  const bool to_solve = !entry.challenge.empty() || !entry.captcha_site_key.empty();
  if (to_solve || (entry.admitted && !entry.delay.has_value())) return Finish(std::move(entry));
  if (entry.place.has_value() && !entry.place->ticket.empty()) request_.waiting_ticket = entry.place->ticket;
  if (entry.delay.has_value()) request_.delay_ticket = entry.delay->ticket;
  // They were for this try only.
  request_.challenge_solution.clear();
  request_.captcha_response.clear();
  last_ = std::move(entry);
  last_error_ = absl::OkStatus();
  if (on_place_ != nullptr && !on_place_(*last_)) return End();
  EnterAfter(std::max(last_->retry_after, kLeastWait));
}

void EntryWait::OnError(const absl::Status& error) {
  if (!MayPassLater(error)) return Finish(error);
  last_error_ = error;
  EnterAfter(WaitAfter(error));
}

void EntryWait::EnterAfter(absl::Duration wait) {
  const absl::Time when = environment_.scheduler->Now() + wait;
  if (when >= deadline_ || environment_.closing.load(std::memory_order_relaxed)) return End();
  environment_.scheduler->RunAt(when, [this] {
    if (environment_.closing.load(std::memory_order_relaxed)) {
      End();
    } else {
      Enter();
    }
  });
}

void EntryWait::End() {
  // Who has a place is better off with it than with an error.
  if (last_.has_value()) return Finish(*std::move(last_));
  Finish(last_error_);
}

void EntryWait::Finish(absl::StatusOr<SaleEntry> result) {
  const std::unique_ptr<EntryWait> self(this);
  callback_(std::move(result));
}

}  // namespace tranche::internal
