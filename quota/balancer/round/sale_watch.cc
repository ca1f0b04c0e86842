#include "quota/balancer/round/sale_watch.h"

#include <utility>
#include <vector>

#include "glog/logging.h"
#include "storage/base/log_event.h"

namespace tranche::quota {
namespace {

constexpr absl::Duration kTellOfTooManyEvery = absl::Hours(1);

}  // namespace

void SaleWatch::OnSku(const storage::Sku& sku) {
  const absl::Time now = clock_.Now();
  const uint64_t passed_over = events_.passed_over();
  Log(events_.See(SightOf(sku, now), now));
  if (events_.passed_over() > passed_over) TellOfTooMany(now);
}

void SaleWatch::TellOfTooMany(absl::Time now) {
  if (now >= told_at_ && now < told_at_ + kTellOfTooManyEvery) return;
  told_at_ = now;
  LOG(WARNING) << "more than " << events_.most_skus()
               << " SKUs are not over: the events of further ones are not logged";
}

void SaleWatch::Log(const std::vector<SaleEvent>& events) {
  for (const SaleEvent& event : events) {
    std::vector<LogField> fields = {
        {"sku", event.sku_id}, {"units", event.units}, {"unsold", event.unsold}, {"held", event.held}};
    if (event.since_opened.has_value()) fields.push_back({"seconds", absl::ToDoubleSeconds(*event.since_opened)});
    LogEvent(event.name, std::move(fields));
  }
}

}  // namespace tranche::quota
