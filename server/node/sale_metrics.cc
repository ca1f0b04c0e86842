#include "server/node/sale_metrics.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/metrics/sku_metrics.h"

namespace tranche::server {
namespace {

void AddOutcomes(const char* name, const char* help, const OutcomeCounts& outcomes, const MetricLabels& labels,
                 MetricSet* metrics) {
  outcomes.ForEach([&](std::string outcome, int64_t count) {
    MetricLabels with_outcome = labels;
    with_outcome.emplace_back("outcome", std::move(outcome));
    metrics->AddCounter(name, help, static_cast<double>(count), with_outcome);
  });
}

void AddChanges(const ChangeHandler& changes, MetricSet* metrics) {
  const auto add = [metrics](const char* change, const OutcomeCounts& outcomes) {
    AddOutcomes("tranche_changes_total", "Confirmations, cancellations and extensions, by what they came to.", outcomes,
                {{"change", change}}, metrics);
  };
  add("confirm", changes.confirmed());
  add("cancel", changes.cancelled());
  add("extend", changes.extended());
  metrics->AddCounter("tranche_groups_filled_total", "Groups that a payment at this node has filled.",
                      static_cast<double>(changes.groups_filled()));
}

void AddPoolTakes(const quota::PoolTakeCounts& counts, MetricSet* metrics) {
  const auto add = [metrics](const char* outcome, const Counter& counter) {
    metrics->AddCounter("tranche_pool_takes_total", "How often this node asked a SKU's pool for units.",
                        static_cast<double>(counter.value()), {{"outcome", outcome}});
  };
  add("taken", counts.taken);
  add("none", counts.none);
  add("failed", counts.failed);
  metrics->AddCounter("tranche_pool_units_taken_total", "Units that came from pools.",
                      static_cast<double>(counts.units.value()));
}

}  // namespace

void SaleMetrics::Collect(MetricSet* metrics) {
  AddOutcomes("tranche_claims_total", "Claims for one SKU, however they came, by what they came to.", calls_->claims(),
              {}, metrics);
  AddOutcomes("tranche_carts_total", "Carts, however they came, by what they came to.", calls_->carts(), {}, metrics);
  AddChanges(calls_->changes(), metrics);
  AddPoolTakes(sale_->pool_takes(), metrics);
  metrics->AddGauge("tranche_waiting_claims", "Claims and carts that wait for units on their way to this node.",
                    static_cast<double>(sale_->waiting()));
  AddSkus(metrics);
}

void SaleMetrics::AddSkus(MetricSet* metrics) const {
  const quota::NodeAgent* const agent = agent_();
  const auto traffic = agent == nullptr ? std::make_shared<const quota::TrafficBySku>() : agent->traffic();
  // Keeps the ids.
  const auto slices = slices_->All();
  std::vector<SkuFigures> skus;
  skus.reserve(slices.size());
  for (const auto& [sku_id, slice] : slices) {
    SkuFigures sku{.sku_id = sku_id, .free = slice->counter().free(), .allotted = slice->counter().allotted()};
    if (const auto known = traffic->find(sku_id); known != traffic->end()) {
      sku.grants_per_s = known->second.grants_per_s;
      sku.refusals_per_s = known->second.denials_per_s + known->second.refused_per_s;
    }
    skus.push_back(sku);
  }
  AddSkuMetrics(std::move(skus), skus_, metrics);
}

}  // namespace tranche::server
