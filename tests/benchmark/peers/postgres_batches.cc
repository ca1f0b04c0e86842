#include "tests/benchmark/peers/postgres_batches.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "storage/postgres/array_literal.h"
#include "storage/uuid.h"

namespace tranche::peers {
namespace {

bool HasControlCharacter(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); });
}

}  // namespace

absl::Status CheckQueueable(const Claim& claim) {
  if (!storage::Uuid::Parse(claim.reservation_id).has_value()) {
    return absl::InvalidArgumentError("the reservation id is no UUID");
  }
  if (HasControlCharacter(claim.sku_id) || HasControlCharacter(claim.user_id)) {
    return absl::InvalidArgumentError("a name has control characters");
  }
  if (claim.quantity < 1) return absl::InvalidArgumentError("a claim is for one unit at least");
  return absl::OkStatus();
}

ClaimArrays ToArrays(absl::Span<const Claim> claims) {
  storage::ArrayLiteral ids, skus, users, quantities;
  for (const Claim& claim : claims) {
    ids.AddPlain(claim.reservation_id);
    skus.AddText(claim.sku_id);
    users.AddText(claim.user_id);
    quantities.AddInt(claim.quantity);
  }
  return {.ids = std::move(ids).Finish(),
          .skus = std::move(skus).Finish(),
          .users = std::move(users).Finish(),
          .quantities = std::move(quantities).Finish()};
}

absl::Status PostgresBatches::RunScript(const std::string& file) {
  try {
    pqxx::work transaction(Connected());
    transaction.exec(EmbeddedText(file));
    transaction.commit();
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return Failed(error);
  }
}

storage::ServerConnection& PostgresBatches::Connected() {
  if (connection_ == nullptr) connection_ = std::make_unique<storage::ServerConnection>(dsn_);
  return *connection_;
}

absl::Status PostgresBatches::Failed(const std::exception& error) {
  const std::string said = connection_ == nullptr ? "" : connection_->LastError();
  absl::Status status = storage::TranslatePostgresError(error, /*sent=*/connection_ != nullptr, said).status;
  connection_.reset();
  prepared_.clear();
  return status;
}

absl::Status CountOrders(PostgresBatches& postgres, const std::string& sold_file, const std::string& ids_file,
                         Stored& stored) {
  ASSIGN_OR_RETURN(const std::vector<std::string> sold, postgres.Run(sold_file));
  if (sold.size() != 1 || !absl::SimpleAtoi(sold[0], &stored.units_sold)) {
    return absl::InternalError(absl::StrCat(sold_file, " has not answered a number"));
  }
  ASSIGN_OR_RETURN(stored.order_ids, postgres.Run(ids_file));
  return absl::OkStatus();
}

}  // namespace tranche::peers
