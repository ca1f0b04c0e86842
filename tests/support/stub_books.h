// Books that answer nothing: a base for fakes that override what their test calls.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "storage/books.h"

namespace tranche::testing {

class StubBooks : public storage::Books {
 public:
  void Commit(const std::string&, storage::IncarnationId, storage::ReservationClaim, absl::Time,
              storage::CommitDone done) override {
    done(Unexpected());
  }
  void CommitCart(const std::string&, storage::IncarnationId, std::vector<storage::ReservationClaim>, absl::Time,
                  CartDone done) override {
    done(Unexpected());
  }
  void RefuseClaims(const std::string&, std::vector<storage::ClaimRefusal>, absl::Time, RefuseDone done) override {
    done(Unexpected());
  }
  void Apply(const std::string&, storage::Change, absl::Time, storage::ChangeDone done) override { done(Unexpected()); }
  void EnterDraw(const std::string&, storage::DrawEntryClaim, absl::Time, storage::EntryDone done) override {
    done(Unexpected());
  }
  void ConfirmLate(storage::Payment, const std::string&, absl::Time, storage::ChangeDone done) override {
    done(Unexpected());
  }
  void Find(const storage::Uuid&, storage::Assurance, absl::Time, FindDone done) override { done(Unexpected()); }
  void FindSku(const std::string&, SkuDone done) override { done(Unexpected()); }
  void TakeFromPool(const std::string&, storage::PoolRequest, TakeDone done) override { done(Unexpected()); }
  void FindReplicated(const std::string&, std::vector<storage::Uuid>, absl::Time, ReadDone done) override {
    done(Unexpected());
  }
  void ReadAll(std::vector<storage::Uuid>, absl::Time, ReadDone done) override { done(Unexpected()); }
  void ReadKnown(std::vector<storage::Uuid>, absl::Time, KnownDone done) override { done(Unexpected()); }
  void List(storage::ReservationFilter, storage::ReservationCursor, int, absl::Time, PageDone done) override {
    done(Unexpected());
  }

 private:
  static absl::Status Unexpected() { return absl::InternalError("the test does not expect this call"); }
};

}  // namespace tranche::testing
