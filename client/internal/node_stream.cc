#include "client/internal/node_stream.h"

#include <algorithm>
#include <map>

#include "absl/algorithm/container.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "client/internal/status_translation.h"

namespace tranche::internal {
namespace {

// The stream whose callbacks run on this thread.
thread_local const NodeStream* delivering = nullptr;

// Time for the node's own "deadline passed" to arrive before the stream is given up.
constexpr absl::Duration kOverdueGrace = absl::Milliseconds(200);

// A number of the node's; 0 if it gives none.
int64_t NumberIn(const std::multimap<grpc::string_ref, grpc::string_ref>& metadata, const char* key) {
  const auto found = metadata.find(key);
  int64_t number = 0;
  if (found == metadata.end()) return 0;
  return absl::SimpleAtoi(absl::string_view(found->second.data(), found->second.size()), &number) ? number : 0;
}

void SetTimeout(absl::Duration timeout, tranche::v1::StreamReservationsItem* item) {
  item->mutable_timeout()->set_seconds(timeout / absl::Seconds(1));
  item->mutable_timeout()->set_nanos(static_cast<int32_t>((timeout % absl::Seconds(1)) / absl::Nanoseconds(1)));
}

// An answer that is not in a frame, as if it were.
void PutIntoFrame(tranche::v1::StreamReservationsResponse* answer) {
  if (answer->sequence() == 0) return;
  if (answer->has_error() && answer->error().code() != 0) {
    tranche::v1::StreamReservationsRefusal* const refusal = answer->add_refusals();
    refusal->add_sequences(answer->sequence());
    refusal->mutable_error()->Swap(answer->mutable_error());
    return;
  }
  tranche::v1::StreamReservationsResult* const result = answer->add_results();
  result->set_sequence(answer->sequence());
  // With neither, the node says nothing that could be understood.
  if (answer->has_created()) result->mutable_created()->Swap(answer->mutable_created());
}

absl::Status ErrorIn(const tranche::v1::StreamReservationsRefusal& refusal) {
  if (refusal.error().code() == 0) return absl::InternalError("the node refused a request without an error");
  return ToAbslStatus(refusal.error());
}

}  // namespace

std::shared_ptr<NodeStream> NodeStream::Start(Stub& stub, int node, Owner* owner) {
  std::shared_ptr<NodeStream> stream(new NodeStream(node, owner));
  stream->self_ = stream;
  stub.StreamReservations(stream->context_, stream.get());
  // Held while the stream may be written to from outside gRPC's reactions; OnReadDone(false) releases it.
  stream->AddHold();
  stream->StartRead(&stream->read_);
  stream->StartCall();
  return stream;
}

void NodeStream::OnReadInitialMetadataDone(bool ok) {
  if (!ok) return;
  const auto& metadata = context_->GetServerInitialMetadata();
  const int64_t items = NumberIn(metadata, "tranche-frame-items");
  const int64_t bytes = NumberIn(metadata, "tranche-frame-bytes");
  if (items <= 0 || bytes <= 0) return;
  const auto kinds = metadata.find("tranche-frame-kinds");
  absl::MutexLock lock(&mutex_);
  queue_.UseFrames(items, bytes);
  if (kinds == metadata.end()) return;
  kinds_ = absl::StrSplit(absl::string_view(kinds->second.data(), kinds->second.size()), ',');
}

NodeStream::Sending NodeStream::Send(std::unique_ptr<StreamRequest>& request, absl::Time now) {
  tranche::v1::StreamReservationsItem item;
  request->Write(&item);
  SetTimeout(std::max(absl::Milliseconds(1), request->attempt_deadline() - now), &item);
  const int64_t bytes = static_cast<int64_t>(item.ByteSizeLong());
  {
    absl::MutexLock lock(&mutex_);
    if (ending_ || finish_sending_) return Sending::kEnding;
    if (!queue_.Fits(bytes) || !absl::c_linear_search(kinds_, request->kind())) return Sending::kNotHere;
    item.set_sequence(++last_sequence_);
    queue_.Push(std::move(item));
    unanswered_.emplace(last_sequence_, std::move(request));
  }
  if (delivering != this) WriteQueued();
  return Sending::kTaken;
}

void NodeStream::WriteQueued() {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_ || writing_) return;
    writing_ = NextWrite();
    if (!writing_) return;
    AddHold();
  }
  StartWrite(&write_);
  RemoveHold();
}

bool NodeStream::NextWrite() {
  if (queue_.empty()) return false;
  queue_.Pop(&write_);
  return true;
}

void NodeStream::OnWriteDone(bool ok) {
  bool more_follow = false;
  bool close = false;
  {
    absl::MutexLock lock(&mutex_);
    // Not ok: the stream is broken, and OnReadDone(false) comes too. `writing_` stays set: nothing more is written.
    if (!ok) return;
    writing_ = NextWrite();
    more_follow = !queue_.empty();
    close = !writing_ && finish_sending_;
    if (!writing_ && !close) return;
  }
  if (close) {
    StartWritesDone();
  } else {
    // If more requests follow at once, let the transport combine them into one packet.
    StartWrite(&write_, more_follow ? grpc::WriteOptions().set_buffer_hint() : grpc::WriteOptions());
  }
}

void NodeStream::OnReadDone(bool ok) {
  if (!ok) {
    {
      absl::MutexLock lock(&mutex_);
      ending_ = true;
    }
    RemoveHold();
    return;
  }
  tranche::v1::StreamReservationsResponse answers;
  answers.Swap(&read_);
  StartRead(&read_);
  PutIntoFrame(&answers);
  Deliver(answers);
}

std::unique_ptr<StreamRequest> NodeStream::Take(uint64_t sequence) {
  const auto found = unanswered_.find(sequence);
  if (found == unanswered_.end()) return nullptr;
  std::unique_ptr<StreamRequest> request = std::move(found->second);
  unanswered_.erase(found);
  return request;
}

void NodeStream::Deliver(const tranche::v1::StreamReservationsResponse& answers) {
  const NodeStream* const outer = std::exchange(delivering, this);
  TellOwner(answers);
  delivering = outer;
  WriteQueued();
}

void NodeStream::TellOwner(const tranche::v1::StreamReservationsResponse& answers) {
  std::vector<Done> done;
  std::vector<Requests> refused(static_cast<size_t>(answers.refusals_size()));
  {
    absl::MutexLock lock(&mutex_);
    for (const tranche::v1::StreamReservationsResult& result : answers.results()) {
      std::unique_ptr<StreamRequest> request = Take(result.sequence());
      if (request != nullptr) done.emplace_back(std::move(request), &result);
    }
    for (int i = 0; i < answers.refusals_size(); ++i) {
      for (const uint64_t sequence : answers.refusals(i).sequences()) {
        std::unique_ptr<StreamRequest> request = Take(sequence);
        if (request != nullptr) refused[static_cast<size_t>(i)].push_back(std::move(request));
      }
    }
  }
  if (!done.empty()) owner_->OnDone(std::move(done));
  for (int i = 0; i < answers.refusals_size(); ++i) {
    Requests& requests = refused[static_cast<size_t>(i)];
    if (!requests.empty()) owner_->OnRefused(node_, std::move(requests), ErrorIn(answers.refusals(i)));
  }
}

void NodeStream::FinishSending() {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_ || finish_sending_) return;
    finish_sending_ = true;
    // The end of the last write closes.
    if (writing_ || !queue_.empty()) return;
    AddHold();
  }
  StartWritesDone();
  RemoveHold();
}

void NodeStream::Cancel() {
  {
    absl::MutexLock lock(&mutex_);
    if (ending_) return;
    AddHold();
  }
  context_->TryCancel();
  RemoveHold();
}

void NodeStream::CancelIfOverdue(absl::Time now) {
  bool overdue = false;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [sequence, request] : unanswered_) overdue |= request->attempt_deadline() + kOverdueGrace < now;
  }
  if (overdue) Cancel();
}

void NodeStream::OnDone(const grpc::Status& status) {
  const std::shared_ptr<NodeStream> self = std::move(self_);
  Requests unanswered;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    for (auto& [sequence, request] : unanswered_) unanswered.push_back(std::move(request));
    unanswered_.clear();
  }
  // The context holds its channel. The channel's last owner must not be a thread of gRPC: the client may be destroyed
  // after OnEnded.
  context_.reset();
  owner_->OnEnded(node_, std::move(unanswered), ToAbslStatus(status));
}

}  // namespace tranche::internal
