\ir helpers.psql
SELECT no_plan();

INSERT INTO tranche.late_payment (reservation_id, payment_reference, sku_id, amount_minor, currency, outcome, rebooked_as,
                                  received_at)
VALUES (uid(1), 'p1', 'tv', 500, 'EUR', 'PAID_UNFULFILLED', NULL, now()),
       (uid(1), 'p1b', 'tv', 500, 'EUR', 'PAID_UNFULFILLED', NULL, now()),
       (uid(2), 'p2', 'tv', 700, 'USD', 'PAID_UNFULFILLED', NULL, now()),
       (uid(3), 'p3', 'tv', 500, 'EUR', 'REBOOKED', uid(30), now());
CREATE FUNCTION marked(p_ids uuid[], p_references text[]) RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(outcome, ' ' ORDER BY idx) FROM tranche.mark_refunded(p_ids, p_references, 'reconcile by al') $$;
CREATE FUNCTION refunded() RETURNS text LANGUAGE sql AS
$$ SELECT string_agg(payment_reference, ' ' ORDER BY payment_reference) FROM tranche.late_payment
   WHERE refunded_at IS NOT NULL $$;

SELECT is(marked('{}', '{}'), NULL);
SELECT is(marked(uids(2, 1, 3, 1, 9), ARRAY['p2', 'p1', 'p3', 'none', 'p9']), 'DONE DONE STATE NOT_FOUND NOT_FOUND');
SELECT is(refunded(), 'p1 p2');
SELECT results_eq($$ SELECT actor, action, sku_id, before, after FROM tranche.audit_log ORDER BY audit_id $$,
  $$ VALUES
  ('reconcile by al', 'mark_refunded', 'tv' COLLATE "C",
   jsonb_build_object('reservation_id', uid(1), 'payment_reference', 'p1', 'refunded', false),
   jsonb_build_object('reservation_id', uid(1), 'payment_reference', 'p1', 'refunded', true, 'amount_minor', 500,
                      'currency', 'EUR')),
  ('reconcile by al', 'mark_refunded', 'tv',
   jsonb_build_object('reservation_id', uid(2), 'payment_reference', 'p2', 'refunded', false),
   jsonb_build_object('reservation_id', uid(2), 'payment_reference', 'p2', 'refunded', true, 'amount_minor', 700,
                      'currency', 'USD')) $$);
SELECT is(marked(uids(2, 1), ARRAY['p2', 'p1b']), 'REPLAYED DONE', 'what was noted before stays');
SELECT is((SELECT count(*) FROM tranche.audit_log), 3::bigint);
SELECT is(marked(uids(1, 1), ARRAY['p1', 'p1']), 'REPLAYED REPLAYED');

-- Two sessions at once: one of them does it.
UPDATE tranche.late_payment SET refunded_at = NULL WHERE reservation_id = uid(2);
SELECT open_session('other');
SELECT pid('other') AS pid \gset
BEGIN;
SELECT is(marked(uids(2), ARRAY['p2']), 'DONE');
SELECT send('other', $$ SELECT outcome FROM tranche.mark_refunded(ARRAY['00000000-0000-7000-8000-000000000002'::uuid],
                                                                 ARRAY['p2'], 'other') $$);
SELECT ok(blocks(:'pid'));
COMMIT;
SELECT is(receive('other'), 'REPLAYED');
SELECT is((SELECT count(*) FROM tranche.audit_log WHERE actor = 'other'), 0::bigint);
SELECT * FROM finish();
