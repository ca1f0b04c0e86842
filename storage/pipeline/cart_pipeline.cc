#include "storage/pipeline/cart_pipeline.h"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include "storage/ledger/ledger_error.h"
#include "storage/pipeline/cart_commit.h"

namespace tranche::storage {
namespace {

// Carts of a SKU that may be under way at a time: one has the slots, and the next one is there when it lets go of them.
constexpr int kMostPerSku = 2;
// Carts that wait here; more are refused. And as many slow ones.
constexpr size_t kMostWaiting = 1024;
// How long commit_cart waits for a lock at most.
constexpr absl::Duration kLockWait = absl::Milliseconds(200);
// Slow carts that are tried in vain before the others have to wait for the next turn.
constexpr int kMostTriesInVain = 16;
// Turns after which a slow cart waits although it holds SKUs meanwhile that are not slow.
constexpr int kTurnsWithoutWaiting = 10;

std::vector<std::string> SkusOf(absl::Span<const ReservationClaim> lines) {
  std::set<std::string> skus;
  for (const ReservationClaim& line : lines) skus.insert(line.sku_id);
  return {skus.begin(), skus.end()};
}

std::vector<std::string> SkusFoundLocked(absl::Span<const ReservationClaim> lines,
                                         const absl::StatusOr<CartResult>& result) {
  std::set<std::string> locked;
  for (size_t i = 0; result.ok() && i < lines.size(); ++i) {
    if (result->lines[i].outcome == CommitOutcome::kBusy) locked.insert(lines[i].sku_id);
  }
  return {locked.begin(), locked.end()};
}

// What was locked at two tries, if any; both are sorted. Otherwise a SKU would become slow because another cart has
// just had it for a moment, and then, being slow, stay so.
std::vector<std::string> StillLocked(const std::vector<std::string>& before, std::vector<std::string> now) {
  std::vector<std::string> both;
  std::set_intersection(before.begin(), before.end(), now.begin(), now.end(), std::back_inserter(both));
  return both.empty() ? std::move(now) : both;
}

absl::Status TooManyCarts() { return absl::ResourceExhaustedError("too many carts wait for the ledger"); }
absl::Status FoundLockedInTheEnd() { return BusyError("another transaction has locked what the cart needs"); }
absl::Status StoppingCarts() { return absl::CancelledError("shutting down"); }

}  // namespace

void CartPipeline::Submit(IncarnationId incarnation, std::vector<ReservationClaim> lines, absl::Time deadline,
                          Done done) {
  auto cart = std::make_shared<Cart>(Cart{incarnation, std::move(lines), deadline, std::move(done), {}, {}});
  cart->skus = SkusOf(cart->lines);
  cart->queued_at = clock_.Now();
  absl::Status refusal;
  {
    absl::MutexLock lock(&mutex_);
    const std::vector<std::string> slow_skus = SlowSkusOf(*cart);
    if (stopping_) {
      refusal = StoppingCarts();
    } else if ((slow_skus.empty() ? queue_ : slow_).size() >= kMostWaiting) {
      refusal = TooManyCarts();
    } else if (!MayGo(cart, queued_)) {
      if (!cart->slow) Enqueue(cart);
      return;
    }
  }
  if (!refusal.ok()) return cart->done(std::move(refusal));
  Send({cart});
}

bool CartPipeline::MayGo(const CartPtr& cart, const SkuCounts& ahead) {
  std::vector<std::string> slow_skus = SlowSkusOf(*cart);
  if (!slow_skus.empty()) {
    MakeSlow(cart, std::move(slow_skus));
    return false;
  }
  for (const std::string& sku_id : cart->skus) {
    const auto others = under_way_.find(sku_id);
    if (ahead.contains(sku_id) || (others != under_way_.end() && others->second >= kMostPerSku)) return false;
  }
  for (const std::string& sku_id : cart->skus) ++under_way_[sku_id];
  return true;
}

void CartPipeline::Enqueue(const CartPtr& cart) {
  queue_.push_back(cart);
  for (const std::string& sku_id : cart->skus) ++queued_[sku_id];
}

CartPipeline::Carts CartPipeline::NextAfter(const Cart& cart) {
  for (const std::string& sku_id : cart.skus) {
    const auto found = under_way_.find(sku_id);
    if (--found->second == 0) under_way_.erase(found);
  }
  Carts next;
  const std::deque<CartPtr> waiting = std::exchange(queue_, {});
  queued_.clear();
  for (const CartPtr& queued : waiting) {
    if (MayGo(queued, queued_)) {
      next.push_back(queued);
    } else if (!queued->slow) {
      Enqueue(queued);
    }
  }
  return next;
}

void CartPipeline::MakeSlow(const CartPtr& cart, std::vector<std::string> slow_skus) {
  cart->slow = true;
  if (!slow_skus.empty()) {
    ForgetSlowSkusOf(*cart);
    cart->slow_skus = StillLocked(cart->slow_skus, std::move(slow_skus));
    for (const std::string& sku_id : cart->slow_skus) ++slow_skus_[sku_id];
  }
  slow_.push_back(cart);
}

void CartPipeline::ForgetSlowSkusOf(const Cart& cart) {
  for (const std::string& sku_id : cart.slow_skus) {
    const auto found = slow_skus_.find(sku_id);
    if (--found->second == 0) slow_skus_.erase(found);
  }
}

std::vector<std::string> CartPipeline::SlowSkusOf(const Cart& cart) const {
  std::vector<std::string> slow;
  if (slow_skus_.empty()) return slow;
  for (const std::string& sku_id : cart.skus) {
    if (slow_skus_.contains(sku_id)) slow.push_back(sku_id);
  }
  return slow;
}

void CartPipeline::Send(const Carts& carts) {
  for (const CartPtr& cart : carts) {
    absl::AnyInvocable<void()> task = [this, cart] { Commit(cart); };
    if (executor_.TryRun(task)) continue;
    Settle(cart, absl::ResourceExhaustedError("too many calls wait for the ledger"));
  }
}

CartPipeline::Result CartPipeline::Try(Cart& cart, LockMode mode) {
  const absl::Time begun_at = clock_.Now();
  metrics_.NoteTaken(begun_at, &cart.queued_at);
  Result result = CommitCart(ledger_, clock_, cart.incarnation, mode, cart.lines, cart.deadline, &cart.in_doubt);
  metrics_.NoteTry(cart.lines.size(), clock_.Now() - begun_at, result.status());
  return result;
}

void CartPipeline::Commit(const CartPtr& cart) {
  Result result = Try(*cart, LockMode::kWait);
  if (FoundLocked(result.status()) && clock_.Now() < cart->deadline) result = Try(*cart, LockMode::kNoWait);
  Settle(cart, std::move(result));
}

void CartPipeline::Settle(const CartPtr& cart, Result result) {
  const bool locked = CartFoundLocked(result);
  Carts next;
  bool stays = false;
  {
    absl::MutexLock lock(&mutex_);
    const bool was_slow = cart->slow;
    if (locked && !stopping_) {
      MakeSlow(cart, SkusFoundLocked(cart->lines, result));
      stays = true;
    }
    if (!was_slow) next = NextAfter(*cart);
  }
  if (!stays) Answer(cart, locked ? Result(StoppingCarts()) : std::move(result));
  Send(next);
}

void CartPipeline::Answer(const CartPtr& cart, Result result) {
  {
    absl::MutexLock lock(&mutex_);
    ForgetSlowSkusOf(*cart);
  }
  if (cart->in_doubt && !result.ok()) result = UnknownCommitError("the ledger's answer was lost");
  cart->done(std::move(result));
}

void CartPipeline::TrySlow() {
  const absl::Time now = clock_.Now();
  Carts late;
  bool some = false;
  {
    absl::MutexLock lock(&mutex_);
    const auto take_late = [&late](std::deque<CartPtr>& carts, absl::Time until) {
      const auto from = std::stable_partition(carts.begin(), carts.end(),
                                              [until](const CartPtr& cart) { return cart->deadline > until; });
      late.insert(late.end(), from, carts.end());
      carts.erase(from, carts.end());
    };
    // At the next call their callers would not listen any more.
    take_late(slow_, now + kTryInterval);
    const size_t before = queue_.size();
    take_late(queue_, now);
    if (queue_.size() < before) {
      const std::deque<CartPtr> in_time = std::exchange(queue_, {});
      queued_.clear();
      for (const CartPtr& cart : in_time) Enqueue(cart);
    }
    some = !slow_.empty() && !slow_under_way_;
    slow_under_way_ = slow_under_way_ || some;
  }
  for (const CartPtr& cart : late) {
    Answer(cart,
           cart->slow ? FoundLockedInTheEnd() : absl::DeadlineExceededError("the deadline passed before it was sent"));
  }
  if (!some) return;
  absl::AnyInvocable<void()> task = [this] { CommitSlow(); };
  if (executor_.TryRun(task)) return;
  absl::MutexLock lock(&mutex_);
  slow_under_way_ = false;
}

CartPipeline::CartPtr CartPipeline::NextSlow() {
  absl::MutexLock lock(&mutex_);
  if (slow_.empty()) return nullptr;
  CartPtr cart = std::move(slow_.front());
  slow_.pop_front();
  return cart;
}

void CartPipeline::CommitSlow() {
  size_t left = 0;  // each cart that is slow now is tried at most once
  LockMode mode = LockMode::kNoWait;
  {
    absl::MutexLock lock(&mutex_);
    left = slow_.size();
    const bool may_delay_others = left > 0 && SlowSkusOf(*slow_.front()).size() < slow_.front()->skus.size();
    if (!may_delay_others || ++turns_without_waiting_ >= kTurnsWithoutWaiting) {
      mode = LockMode::kWait;
      turns_without_waiting_ = 0;
    }
  }
  for (int in_vain = 0; left > 0 && in_vain < kMostTriesInVain; --left) {
    const CartPtr cart = NextSlow();
    if (cart == nullptr) break;
    const absl::Time now = clock_.Now();
    if (now >= cart->deadline) {
      Answer(cart, FoundLockedInTheEnd());
      continue;
    }
    // After a wait in vain it must be here again when TrySlow looks whose deadline is near.
    const bool in_time = now + kLockWait + kTryInterval < cart->deadline;
    const LockMode planned = std::exchange(mode, LockMode::kNoWait);
    Result result = Try(*cart, in_time ? planned : LockMode::kNoWait);
    in_vain += CartFoundLocked(result) ? 1 : 0;
    Settle(cart, std::move(result));
  }
  absl::MutexLock lock(&mutex_);
  // The next round may wait for locks with its first cart only: another one shall be the first.
  if (slow_.size() > 1) std::rotate(slow_.begin(), slow_.begin() + 1, slow_.end());
  slow_under_way_ = false;
}

void CartPipeline::Stop() {
  Carts refused;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (std::deque<CartPtr>* carts : {&queue_, &slow_}) {
      refused.insert(refused.end(), carts->begin(), carts->end());
      carts->clear();
    }
    queued_.clear();
  }
  for (const CartPtr& cart : refused) Answer(cart, StoppingCarts());
}

size_t CartPipeline::waiting() const {
  absl::MutexLock lock(&mutex_);
  return queue_.size() + slow_.size();
}

size_t CartPipeline::slow() const {
  absl::MutexLock lock(&mutex_);
  return slow_.size();
}

}  // namespace tranche::storage
