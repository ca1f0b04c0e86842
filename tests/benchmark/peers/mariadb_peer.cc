#include "tests/benchmark/peers/mariadb_peer.h"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "storage/base/status_macros.h"
#include "tests/benchmark/peers/backoff.h"
#include "tests/benchmark/peers/mariadb_connection.h"

namespace tranche::peers {
namespace {

absl::StatusOr<int64_t> MariadbNumber(const std::string& text) {
  int64_t number = 0;
  if (absl::SimpleAtoi(text, &number)) return number;
  return absl::InternalError(absl::StrCat("MariaDB answers ", text, " instead of a number"));
}

// What a claim finds before it changes anything. Of what is committed, and outdated at once.
struct MariadbSeen {
  int64_t left = 0;  // 0, too, if there is no such SKU
  int64_t version = 0;
  bool replayed = false;    // the id has an order
  bool user_limit = false;  // the buyer has one for this SKU
};

// What the claim is answered without a change; nullopt: it may get its units.
std::optional<Outcome> RefusedByMariadb(const MariadbSeen& seen, const Claim& claim) {
  if (seen.replayed) return Outcome::kReplayed;
  if (seen.user_limit) return Outcome::kUserLimit;
  if (seen.left < claim.quantity) return Outcome::kSoldOut;
  return std::nullopt;
}

class MariadbSeller final : public Seller {
 public:
  MariadbSeller(MariadbWay way, std::string socket) : way_(way), socket_(std::move(socket)) {}

  absl::StatusOr<Outcome> Sell(const Claim& claim) override {
    for (int next = 2;; ++next) {
      absl::StatusOr<Outcome> outcome = TryOnce(claim);
      if (!outcome.ok()) connection_.reset();
      if (!outcome.ok() || *outcome != Outcome::kConflict || next > kMostTries) return outcome;
      WaitBeforeTry(next);
    }
  }

  absl::Status Connect() {
    if (connection_ != nullptr) return absl::OkStatus();
    ASSIGN_OR_RETURN(connection_, MariadbConnection::Open(socket_));
    return absl::OkStatus();
  }

 private:
  // kConflict: lost against another claim. Afterwards no transaction is open, or there is an error.
  absl::StatusOr<Outcome> TryOnce(const Claim& claim) {
    RETURN_IF_ERROR(Connect());
    ASSIGN_OR_RETURN(const MariadbSeen seen, Look(claim));
    if (const std::optional<Outcome> refused = RefusedByMariadb(seen, claim); refused.has_value()) return *refused;
    RETURN_IF_ERROR(connection_->Begin());
    absl::StatusOr<Outcome> outcome = Take(seen, claim);
    if (outcome.ok() && *outcome == Outcome::kCreated) {
      RETURN_IF_ERROR(connection_->Commit());
      return outcome;
    }
    const bool has_order = absl::IsAlreadyExists(outcome.status());
    const bool lost = absl::IsAborted(outcome.status());
    if (!outcome.ok() && !has_order && !lost) return outcome;
    RETURN_IF_ERROR(connection_->RollBack());
    if (lost) return Outcome::kConflict;
    if (!has_order) return outcome;
    // Looks again at what was in the way; if it was taken back since, so does the next try.
    ASSIGN_OR_RETURN(const MariadbSeen other, Look(claim));
    return RefusedByMariadb(other, claim).value_or(Outcome::kConflict);
  }

  absl::StatusOr<MariadbSeen> Look(const Claim& claim) {
    ASSIGN_OR_RETURN(
        const std::vector<MariadbRow> rows,
        connection_->Read("mariadb/look.sql", {claim.reservation_id, claim.sku_id, claim.user_id, claim.sku_id}));
    MariadbSeen seen;
    if (rows.empty()) return seen;
    const MariadbRow& row = rows.front();
    ASSIGN_OR_RETURN(seen.left, MariadbNumber(row.at(0)));
    ASSIGN_OR_RETURN(seen.version, MariadbNumber(row.at(1)));
    seen.replayed = row.at(2) == "1";
    seen.user_limit = row.at(3) == "1";
    return seen;
  }

  // In a transaction. kAlreadyExists: another order of this id, or of this buyer, was quicker.
  //
  // The order is inserted first where that can be, so that the row that all want is locked last and for least time.
  absl::StatusOr<Outcome> Take(const MariadbSeen& seen, const Claim& claim) {
    if (way_ == MariadbWay::kOptimistic) {
      // The stock first: most tries end there while many buy, and an order that was inserted would be thrown away.
      ASSIGN_OR_RETURN(const int64_t written,
                       connection_->Change("mariadb/write_stock_of_version.sql",
                                           {Rest(seen.left, claim), claim.sku_id, seen.version}));
      if (written == 0) return Outcome::kConflict;
      RETURN_IF_ERROR(PutOrder(claim));
      return Outcome::kCreated;
    }
    RETURN_IF_ERROR(PutOrder(claim));
    if (way_ == MariadbWay::kAtomic) {
      const int64_t quantity = claim.quantity;
      ASSIGN_OR_RETURN(const int64_t taken,
                       connection_->Change("mariadb/take_units.sql", {quantity, claim.sku_id, quantity}));
      return taken == 1 ? Outcome::kCreated : Outcome::kSoldOut;
    }
    int64_t left = seen.left;
    if (way_ == MariadbWay::kPessimistic) {
      ASSIGN_OR_RETURN(const std::vector<MariadbRow> locked,
                       connection_->Read("mariadb/lock_stock.sql", {claim.sku_id}));
      if (locked.empty()) return Outcome::kSoldOut;
      ASSIGN_OR_RETURN(left, MariadbNumber(locked.front().at(0)));
      if (left < claim.quantity) return Outcome::kSoldOut;
    }
    RETURN_IF_ERROR(connection_->Change("mariadb/write_stock.sql", {Rest(left, claim), claim.sku_id}).status());
    return Outcome::kCreated;
  }

  static int64_t Rest(int64_t left, const Claim& claim) { return left - claim.quantity; }

  absl::Status PutOrder(const Claim& claim) {
    const int64_t quantity = claim.quantity;
    return connection_->Change("mariadb/put_order.sql", {claim.reservation_id, claim.sku_id, claim.user_id, quantity})
        .status();
  }

  const MariadbWay way_;
  const std::string socket_;
  std::unique_ptr<MariadbConnection> connection_;
};

class MariadbPeer final : public Peer {
 public:
  MariadbPeer(MariadbWay way, std::string socket) : way_(way), socket_(std::move(socket)) {
    // Before there are threads that connect.
    mysql_library_init(0, nullptr, nullptr);
  }

  absl::Status Prepare(int skus, int64_t stock) override {
    ASSIGN_OR_RETURN(const std::unique_ptr<MariadbConnection> connection, MariadbConnection::Open(socket_));
    RETURN_IF_ERROR(connection->RunScript("mariadb/schema.sql"));
    RETURN_IF_ERROR(connection->Begin());
    for (int i = 0; i < skus; ++i) {
      RETURN_IF_ERROR(connection->Change("mariadb/put_stock.sql", {absl::StrCat("sku-", i), stock}).status());
    }
    return connection->Commit();
  }

  absl::StatusOr<std::unique_ptr<Seller>> MakeSeller() override {
    auto seller = std::make_unique<MariadbSeller>(way_, socket_);
    RETURN_IF_ERROR(seller->Connect());
    return std::unique_ptr<Seller>(std::move(seller));
  }

  absl::StatusOr<Stored> Count() override {
    ASSIGN_OR_RETURN(const std::unique_ptr<MariadbConnection> connection, MariadbConnection::Open(socket_));
    ASSIGN_OR_RETURN(const std::vector<MariadbRow> left, connection->Read("mariadb/count_left.sql", {}));
    ASSIGN_OR_RETURN(const std::vector<MariadbRow> sold, connection->Read("mariadb/count_sold.sql", {}));
    ASSIGN_OR_RETURN(const std::vector<MariadbRow> ids, connection->Read("mariadb/order_ids.sql", {}));
    Stored stored;
    ASSIGN_OR_RETURN(stored.units_left, MariadbNumber(left.at(0).at(0)));
    ASSIGN_OR_RETURN(stored.units_sold, MariadbNumber(sold.at(0).at(0)));
    for (const MariadbRow& row : ids) stored.order_ids.push_back(row.at(0));
    return stored;
  }

 private:
  const MariadbWay way_;
  const std::string socket_;
};

}  // namespace

std::unique_ptr<Peer> MakeMariadbPeer(MariadbWay way, std::string socket) {
  return std::make_unique<MariadbPeer>(way, std::move(socket));
}

}  // namespace tranche::peers
