#include "server/rpc/reply.h"

#include <string>

namespace tranche::server {

ReplyBase::ReplyBase(const CallContext& call, const CallFrame& frame, grpc::ServerUnaryReactor* reactor)
    : call_(call), reactor_(reactor) {
  if (!call.policy().counted_as.has_value()) return;
  open_calls_ = frame.open_calls;
  open_call_ = open_calls_->Begin(*call.policy().counted_as, call.deadline());
}

absl::Status ReplyBase::TakePlace(CallerCalls* caller_calls) {
  const absl::StatusOr<CallerCalls::Place> place =
      caller_calls->Take(call_.caller(), SettlesReservation(call_.policy()));
  if (!place.ok()) return place.status();
  caller_calls_ = caller_calls;
  place_ = *place;
  return absl::OkStatus();
}

void ReplyBase::Finish(const absl::Status& outcome, const absl::Status& told) const {
  if (open_calls_ != nullptr) open_calls_->End(open_call_);
  // Before the answer is sent: whoever has it finds room for the next call.
  if (caller_calls_ != nullptr) caller_calls_->GiveBack(place_);
  reactor_->Finish(call_.Conclude(outcome, told));
}

LargeReplyBase::LargeReplyBase(const CallContext& call, const CallFrame& frame, grpc::ByteBuffer* bytes)
    : LargeReplyBase(call, frame, bytes, new LargeAnswerReactor()) {}

absl::Status LargeReplyBase::MayBegin() const {
  if (answers_ == nullptr || OnlyReads(call().policy())) return absl::OkStatus();
  return answers_->Admit(call().peer());
}

void LargeReplyBase::FinishWithBytes() const {
  const absl::Status counted = Count();
  if (!counted.ok()) bytes_->Clear();
  Finish(counted);
}

absl::Status LargeReplyBase::Count() const {
  const auto size = static_cast<int64_t>(bytes_->Length());
  if (size <= kSmallAnswerBytes || answers_ == nullptr) return absl::OkStatus();
  const std::string peer = call().peer();
  if (!OnlyReads(call().policy())) {
    reactor_->Keep(answers_->TakeAnyway(peer, size, call().Canceller()));
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<AnswerShare>> share = answers_->Take(peer, size, call().Canceller());
  if (share.ok()) reactor_->Keep(*std::move(share));
  return share.status();
}

}  // namespace tranche::server
