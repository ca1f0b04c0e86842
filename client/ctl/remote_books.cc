#include "client/ctl/remote_books.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/internal/status_translation.h"
#include "storage/base/status_macros.h"

namespace tranche::ctl {
namespace {

using reconcile::EntryState;
using reconcile::LedgerEntry;

// Tries in a row of a stream that makes no progress.
constexpr int kTries = 5;
constexpr absl::Duration kPause = absl::Milliseconds(300);

int64_t ToMicros(const google::protobuf::Timestamp& timestamp) {
  return timestamp.seconds() * 1000000 + timestamp.nanos() / 1000;
}

google::protobuf::Timestamp FromMicros(int64_t micros) {
  google::protobuf::Timestamp timestamp;
  int64_t seconds = micros / 1000000;
  if (micros % 1000000 < 0) --seconds;
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>((micros - seconds * 1000000) * 1000));
  return timestamp;
}

EntryState ToState(v1::ReservationState state) {
  switch (state) {
    case v1::RESERVATION_STATE_PENDING:
      return EntryState::kPending;
    case v1::RESERVATION_STATE_CONFIRMED:
      return EntryState::kConfirmed;
    case v1::RESERVATION_STATE_CANCELLED:
      return EntryState::kCancelled;
    case v1::RESERVATION_STATE_EXPIRED:
      return EntryState::kExpired;
    default:
      return EntryState::kGone;
  }
}

reconcile::Currency ToCurrency(const std::string& text) {
  return reconcile::Currency::Parse(text).value_or(reconcile::Currency());
}

absl::Status ToEntry(const v1::PaymentEntry& message, LedgerEntry* entry) {
  const auto id = reconcile::ParseReservationId(message.reservation_id());
  if (!id.has_value()) return absl::InternalError(absl::StrCat("the node sent the id ", message.reservation_id()));
  entry->reservation_id = *id;
  entry->state = ToState(message.state());
  entry->sku_id = message.sku_id();
  entry->quantity = message.quantity();
  entry->amount_minor = message.amount_minor();
  entry->currency = ToCurrency(message.currency());
  entry->reference = message.payment_reference();
  entry->finished_us = message.has_pay_time() ? ToMicros(message.pay_time()) : 0;
  entry->is_rebooking = !message.rebooked_from().empty();
  entry->archived = message.archived();
  entry->late_payments.clear();
  for (const v1::LatePayment& late : message.late_payments()) {
    entry->late_payments.push_back({late.payment_reference(), late.amount_minor(), ToCurrency(late.currency()),
                                    !late.rebooked_as().empty(), ToMicros(late.receive_time()),
                                    late.has_refund_time() ? ToMicros(late.refund_time()) : 0});
  }
  return absl::OkStatus();
}

class RemoteStream : public reconcile::EntryStream {
 public:
  RemoteStream(Session* session, std::vector<std::shared_ptr<grpc::Channel>> channels,
               v1::ExportPaymentsRequest request, std::shared_ptr<bool> failed)
      : session_(session), channels_(std::move(channels)), request_(std::move(request)), failed_(std::move(failed)) {}

  ~RemoteStream() override {
    if (context_ != nullptr) context_->TryCancel();
    if (reader_ != nullptr) reader_->Finish();
  }

  absl::StatusOr<bool> Next(LedgerEntry* entry) override {
    while (next_ == page_.entries_size()) {
      if (over_) return false;
      RETURN_IF_ERROR(ReadPage());
    }
    RETURN_IF_ERROR(ToEntry(page_.entries(next_++), entry));
    return true;
  }

 private:
  absl::Status ReadPage() {
    for (int attempt = 1;; ++attempt) {
      if (reader_ == nullptr) Begin();
      if (reader_->Read(&page_)) {
        next_ = 0;
        over_ = page_.read_up_to().empty();
        request_.set_after_reservation_id(page_.read_up_to());
        return absl::OkStatus();
      }
      absl::Status status = internal::ToAbslStatus(reader_->Finish());
      reader_.reset();
      page_.clear_entries();
      next_ = 0;
      // A stream that ends without a last message is broken too.
      if (status.ok()) status = absl::UnavailableError("the node ended the export too early");
      if (status.code() != absl::StatusCode::kUnavailable || attempt == kTries) {
        *failed_ = true;
        return status;
      }
      at_ = (at_ + 1) % channels_.size();
      absl::SleepFor(kPause * attempt);
    }
  }

  void Begin() {
    context_ = session_->NewContext();
    reader_ = v1::AdminService::Stub(channels_[at_]).ExportPayments(context_.get(), request_);
  }

  Session* const session_;
  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  v1::ExportPaymentsRequest request_;
  const std::shared_ptr<bool> failed_;
  size_t at_ = 0;
  std::unique_ptr<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientReader<v1::ExportPaymentsResponse>> reader_;
  v1::ExportPaymentsResponse page_;
  int next_ = 0;
  bool over_ = false;
};

}  // namespace

absl::StatusOr<std::vector<std::unique_ptr<reconcile::EntryStream>>> RemoteBooks::Export(
    const reconcile::Window& window) {
  ASSIGN_OR_RETURN(std::vector<std::shared_ptr<grpc::Channel>> channels, session_->Channels());
  v1::ExportPaymentsRequest request;
  *request.mutable_from_time() = FromMicros(window.from_us);
  *request.mutable_to_time() = FromMicros(window.to_us);
  // The front node reads all shards.
  std::vector<std::unique_ptr<reconcile::EntryStream>> streams;
  streams.push_back(std::make_unique<RemoteStream>(session_, std::move(channels), std::move(request), failed_));
  return streams;
}

absl::StatusOr<std::vector<LedgerEntry>> RemoteBooks::LookUp(absl::Span<const reconcile::ReservationId> ids) {
  v1::LookUpPaymentsRequest request;
  for (const reconcile::ReservationId& id : ids) request.add_reservation_ids(reconcile::FormatReservationId(id));
  const auto response = session_->Admin(&v1::AdminService::Stub::LookUpPayments, request);
  *failed_ = *failed_ || !response.ok();
  if (!response.ok()) return response.status();
  std::vector<LedgerEntry> entries(static_cast<size_t>(response->entries_size()));
  for (int i = 0; i < response->entries_size(); ++i) {
    RETURN_IF_ERROR(ToEntry(response->entries(i), &entries[static_cast<size_t>(i)]));
  }
  return entries;
}

}  // namespace tranche::ctl
