#include "client/load/reader.h"

#include <algorithm>
#include <utility>

#include "absl/random/random.h"
#include "absl/time/clock.h"
#include "client/load/outcomes.h"
#include "storage/base/status_macros.h"

namespace tranche::load {

const char* ReadKindName(ReadKind kind) {
  switch (kind) {
    case ReadKind::kGet:
      return "get";
    case ReadKind::kBatchGet:
      return "batch_get";
    case ReadKind::kSku:
      return "sku";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<Reader>> Reader::Open(const LoadOptions& options, std::vector<KnownReservation> known) {
  ClientOptions client_options;
  client_options.endpoints = options.endpoints;
  client_options.request_timeout = options.timeout;
  client_options.attempt_timeout = options.timeout;
  client_options.retry.max_attempts = 1;
  client_options.channels_per_endpoint = options.channels_per_endpoint;
  client_options.tls = options.tls;
  client_options.token_file = options.token_file;
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Open(client_options));
  return std::make_unique<Reader>(options.reads_per_second, options.in_flight, std::move(client), std::move(known));
}

void Reader::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Reader::Stop() {
  if (!stop_.HasBeenNotified()) stop_.Notify();
  if (thread_.joinable()) thread_.join();
  const auto all_answered = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return in_flight_ == 0; };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&all_answered));
}

void Reader::Run() {
  absl::BitGen random;
  absl::Time next = absl::Now();
  while (!stop_.WaitForNotificationWithTimeout(std::max(absl::ZeroDuration(), next - absl::Now()))) {
    SendNext(next);
    next += absl::Seconds(absl::Exponential<double>(random, per_second_));
  }
}

bool Reader::SendNext(absl::Time arrival) {
  uint64_t number = 0;
  {
    absl::MutexLock lock(&mutex_);
    if (in_flight_ >= max_in_flight_ || absl::Now() - arrival > kMostLag) {
      ++not_sent_;
      return false;
    }
    ++in_flight_;
    number = next_++;
  }
  Send(static_cast<ReadKind>(number % kReadKinds), number / kReadKinds % known_.size(), arrival);
  return true;
}

void Reader::Send(ReadKind kind, size_t first, absl::Time arrival) {
  const auto record = [this, kind, arrival](const auto& answer) { Record(kind, arrival, answer.status()); };
  switch (kind) {
    case ReadKind::kGet:
      return client_->GetAsync(known_[first].reservation_id, record);
    case ReadKind::kBatchGet: {
      std::vector<std::string> ids;
      const size_t count = std::min(kBatch, known_.size());
      for (size_t i = 0; i < count; ++i) ids.push_back(known_[(first + i) % known_.size()].reservation_id);
      return client_->BatchGetAsync(std::move(ids), record);
    }
    case ReadKind::kSku:
      return client_->GetSkuAsync(known_[first].sku_id, record);
  }
}

void Reader::Record(ReadKind kind, absl::Time arrival, const absl::Status& status) {
  const int64_t latency_us = absl::ToInt64Microseconds(absl::Now() - arrival);
  const auto index = static_cast<size_t>(kind);
  if (status.ok()) latency_[index].Record(static_cast<uint64_t>(std::max<int64_t>(0, latency_us)));
  absl::MutexLock lock(&mutex_);
  ++answers_[index][status.ok() ? "OK" : Outcomes::NameOf(status)];
  --in_flight_;
}

Reader::Answers Reader::answers(ReadKind kind) const {
  absl::MutexLock lock(&mutex_);
  return answers_[static_cast<size_t>(kind)];
}

uint64_t Reader::not_sent() const {
  absl::MutexLock lock(&mutex_);
  return not_sent_;
}

}  // namespace tranche::load
