\ir helpers.psql
SELECT no_plan();

SELECT sku('tv', 3, 1);
SELECT holder('tv', 3) AS node \gset
SELECT is(outcome(:node, n, 'tv', 'u' || n), 'CREATED') FROM generate_series(1, 3) AS n;

CREATE FUNCTION reconciled(n integer, p_reference text, p_amount bigint DEFAULT 500, p_currency text DEFAULT 'EUR')
RETURNS text LANGUAGE sql AS
$$ SELECT concat_ws(' ', outcome, replayed, state, reference, CASE WHEN rebooked_as IS NOT NULL THEN 'new' END)
   FROM tranche.reconcile_payment(uid(n), p_reference, p_amount, p_currency, 'reconcile by al') $$;
CREATE FUNCTION audited() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(concat_ws(' ', actor, action, sku_id, before->>'state', after->>'state', after->>'payment_reference',
                               after->>'outcome', CASE WHEN after ? 'rebooked_as' THEN 'new' END), ', ' ORDER BY audit_id)
   FROM tranche.audit_log WHERE action = 'reconcile_payment' $$;

SELECT is(reconciled(1, 'p1', 499), 'PAYMENT_MISMATCH f PENDING');
SELECT is(reconciled(1, 'p1', 500, 'USD'), 'PAYMENT_MISMATCH f PENDING');
SELECT is(reconciled(9, 'p1'), 'NOT_FOUND f');
SELECT is(audited(), NULL, 'nothing was done');

SELECT is(reconciled(1, 'p1'), 'DONE f CONFIRMED p1', 'pending: confirmed');
SELECT is(audited(), 'reconcile by al reconcile_payment tv PENDING CONFIRMED p1 DONE');
SELECT is(reconciled(1, 'p1'), 'REPLAYED t CONFIRMED p1');
SELECT is(audited(), 'reconcile by al reconcile_payment tv PENDING CONFIRMED p1 DONE', 'once');

DELETE FROM tranche.audit_log WHERE action = 'reconcile_payment';
SELECT is(reconciled(1, 'p1b'), 'STATE f CONFIRMED p1', 'a second payment');
SELECT is(reconciled(1, 'p1b'), 'STATE t CONFIRMED p1');
SELECT is(audited(), 'reconcile by al reconcile_payment tv CONFIRMED CONFIRMED p1b PAID_UNFULFILLED');
SELECT is((SELECT count(*) FROM tranche.outbox WHERE kind = 'payment.refund_requested'), 1::bigint);

DELETE FROM tranche.audit_log WHERE action = 'reconcile_payment';
SELECT count(*) FROM tranche.cancel_reservations(uids(2), ARRAY['changed my mind']);
SELECT is(reconciled(2, 'p2'), 'STATE f CANCELLED', 'cancelled: to be paid back');
SELECT is(reconciled(2, 'p2'), 'STATE t CANCELLED');
SELECT is(audited(), 'reconcile by al reconcile_payment tv CANCELLED CANCELLED p2 PAID_UNFULFILLED');

DELETE FROM tranche.audit_log WHERE action = 'reconcile_payment';
UPDATE tranche.reservation SET expires_at = now() - interval '1 minute' WHERE reservation_id = uid(3);
SELECT is((SELECT expired FROM tranche.expire_due(10)), 1::bigint);
SELECT is(reconciled(3, 'p3'), 'REBOOKED f EXPIRED new', 'expired: another unit');
SELECT is(reconciled(3, 'p3'), 'REBOOKED t EXPIRED new');
SELECT is(audited(), 'reconcile by al reconcile_payment tv EXPIRED EXPIRED p3 REBOOKED new');
SELECT is(reconciled(3, 'p3b'), 'PAID_UNFULFILLED f EXPIRED', 'and not yet another');
SELECT is((SELECT array_agg(action ORDER BY audit_id) FROM tranche.list_audit('tv', 0, 2)),
          '{reconcile_payment,reconcile_payment}');
SELECT conserved();
SELECT * FROM finish();
