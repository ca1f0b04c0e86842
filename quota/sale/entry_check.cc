#include "quota/sale/entry_check.h"

#include <memory>
#include <utility>

#include "quota/sale/grant.h"

namespace tranche::quota {
namespace {

std::optional<Refused> RefuseEntry(const SkuTerms& terms, bool has_units, absl::Time now) {
  if (const auto refused = RefuseByTerms(terms, /*quantity=*/1, now)) return refused;
  if (has_units) return std::nullopt;  // a seller grants them whatever was announced
  const Refused out_of_units = OutOfUnits(terms, /*quantity=*/1);
  return IsFinal(out_of_units) ? std::optional<Refused>(out_of_units) : std::nullopt;
}

}  // namespace

void CheckEntry(const SliceTable& slices, SkuDirectory& directory, const storage::Clock& clock,
                const std::string& sku_id, EntryChecked done) {
  const std::shared_ptr<Slice> slice = slices.Find(sku_id);
  const std::shared_ptr<const SkuTerms> terms = slice == nullptr ? nullptr : slice->terms();
  // As the seller does it: without an announcement, the ledger knows whether the SKU exists and on what terms.
  if (terms != nullptr && slice->counter().version() != 0) {
    return done(RefuseEntry(*terms, slice->counter().free() > 0, clock.Now()));
  }
  directory.Lookup(sku_id, [&clock, done = std::move(done)](const SkuDirectory::Found& found) mutable {
    if (!found.ok()) return done(Refused{.refusal = RefusalOf(found.status())});
    if (!found->has_value()) return done(Refused{.refusal = Refusal::kSkuNotFound});
    done(RefuseEntry((*found)->ExactTerms(), /*has_units=*/false, clock.Now()));
  });
}

}  // namespace tranche::quota
