-- Ranks, and what winners get.
\ir helpers.psql
\ir draw_helpers.psql
SELECT no_plan();

-- The rank is HMAC-SHA256: computed elsewhere, of entry 6.
SELECT sku('tv', 10);
SELECT new_draw('tv', 3), put_entries('tv', 12), step('tv', 'CLOSE'), seal('tv', 12), step('tv', 'SEED');
SELECT is(rank_next('tv', 5), 'DONE 5 f');
SELECT is(rank_next('tv', 6), 'DONE 6 f');
SELECT is((SELECT outcome FROM tranche.award_draw('tv', 1, 10)), 'STATE', 'some have no rank yet');
SELECT is(rank_next('tv', 1), 'DONE 1 t');
SELECT is(rank_next('tv', 1), 'DONE 0 t', 'again');
SELECT is((SELECT encode(rank, 'hex') FROM tranche.draw_rank WHERE entry_id = uid(6)),
          '02ee540e3a2c5a8ace9bae882e3b0ad0c07f315563a0c3902f2fc81820897573');
SELECT is((SELECT string_agg(num(entry_id)::text, ' ' ORDER BY rank) FROM tranche.draw_rank), '6 10 12 4 8 7 5 11 1 9 3 2');
SELECT throws_ok($$ SELECT rank_next('tv', 50001) $$, '22023');

-- The lowest first, as pending reservations out of the pool.
SELECT is(award('tv', 2), '2+0 open 1 left t waits  finished f');
SELECT is(award('tv', 2), '1+0 open 0 left t waits  finished f');
SELECT is(award('tv', 2), '0+0 open 0 left t waits  finished f');
SELECT is(awards('tv'), '6 PENDING, 10 PENDING, 12 PENDING');
SELECT is(slices('tv'), '0:7');
SELECT is(version('tv'), 3::bigint, 'each call that takes units is a version');
SELECT results_eq($$ SELECT user_id COLLATE "default", quantity, state, incarnation_id, amount_minor, ordinal,
                            expires_at - created_at FROM tranche.reservation ORDER BY user_id $$,
                  $$ VALUES ('u10', 1, 'PENDING', 0::bigint, 500::bigint, 1, interval '60 s'), ('u12', 1, 'PENDING', 0, 500, 1, interval '60 s'),
                            ('u6', 1, 'PENDING', 0, 500, 1, interval '60 s') $$);
SELECT is((SELECT cutoff FROM tranche.get_draw('tv', 0)), (SELECT encode(rank, 'hex') FROM tranche.draw_rank WHERE entry_id = uid(12)));
SELECT is((SELECT concat_ws(' ', place, award, reservation_id) FROM tranche.find_draw_entry('tv', 0, 'u10')),
          '2 PENDING ' || (of_buyer('tv', 'u10'))[1]);
SELECT is((SELECT place FROM tranche.find_draw_entry('tv', 0, 'u4')), NULL);
SELECT conserved();

-- One pays, one gives up: the next by rank gets the place.
SELECT is(confirm(of_buyer('tv', 'u6')), '{DONE CONFIRMED 2}');
SELECT is(cancel(of_buyer('tv', 'u10')), '{DONE CANCELLED 2}');
SELECT is(award('tv'), '1+0 open 0 left t waits  finished f');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 PENDING, 4 PENDING');
SELECT is(counts('tv'), 'DRAWN 2 1 1');

-- Who has bought elsewhere meanwhile has their limit.
SELECT holder('tv', 1) AS node \gset
SELECT is(outcome(:node, 50, 'tv', 'u8'), 'CREATED');
SELECT is(cancel(of_buyer('tv', 'u4')), '{DONE CANCELLED 2}');
SELECT is(award('tv'), '0+1 open 1 left t waits  finished f');
SELECT is(award('tv'), '1+0 open 0 left t waits  finished f');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 PENDING, 4 LAPSED, 8 PASSED_OVER, 7 PENDING');

-- What stops it: nothing is noted, and it goes on later.
SELECT is(cancel(of_buyer('tv', 'u7')), '{DONE CANCELLED 2}');
SELECT tranche.set_sku_paused('tv', true, '', 'x');
SELECT is(award('tv'), '0+0 open 1 left t waits PAUSED finished f');
SELECT tranche.set_sku_paused('tv', false, '', 'x');
UPDATE tranche.sku SET opens_at = now() + interval '1 hour' WHERE sku_id = 'tv';
SELECT is(award('tv'), '0+0 open 1 left t waits NOT_OPEN finished f');
UPDATE tranche.sku SET opens_at = '-infinity', closes_at = now() WHERE sku_id = 'tv';
SELECT is(award('tv'), '0+0 open 1 left t waits CLOSED finished f');
UPDATE tranche.sku SET closes_at = 'infinity' WHERE sku_id = 'tv';
SELECT tranche.move_units('tv', ARRAY[:node], ARRAY[7], NULL, 'test');
SELECT is(slices('tv'), format('0:0 %s:7', :node));
SELECT is(award('tv'), '0+0 open 1 left t waits SHORT finished f');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 PENDING, 4 LAPSED, 8 PASSED_OVER, 7 LAPSED');
SELECT tranche.move_units('tv', ARRAY[:node], ARRAY[-7], NULL, 'test');
SELECT is(award('tv'), '1+0 open 0 left t waits  finished f');
SELECT conserved();

-- All places are paid.
SELECT is(confirm(of_buyer('tv', 'u12') || of_buyer('tv', 'u5')), '{DONE CONFIRMED 2,DONE CONFIRMED 2}');
SELECT is(award('tv'), '0+0 open 0 left t waits  finished t');
SELECT is(award('tv'), '0+0 open 0 left f waits  finished t', 'again');
SELECT is(counts('tv'), 'FINISHED 0 3 4');
SELECT is(awards('tv'), '6 CONFIRMED, 10 LAPSED, 12 CONFIRMED, 4 LAPSED, 8 PASSED_OVER, 7 LAPSED, 5 CONFIRMED');
SELECT is((SELECT string_agg(place::text, ' ') FROM tranche.list_draw_awards('tv', 1, 2, 2)), '3 4', 'a page');
SELECT conserved();

-- It is deleted a few rows at a time: 7 awards, 12 ranks, 12 entries, a chunk, a part of the tally, and the draw.
SELECT is(step('tv', 'REMOVE'), 'DONE FINISHED');
SELECT is(tranche.purge_draws(10), n) FROM (VALUES (1, 10::bigint), (2, 10), (3, 10), (4, 4), (5, 0)) AS x (nth, n) ORDER BY nth;
SELECT is((SELECT count(*) FROM tranche.draw), 0::bigint);
SELECT conserved();

-- The pool is empty: it is to be announced.
SELECT sku('radio', 2);
SELECT is(drawn('radio', 2, 3), 'DONE 3 t');
SELECT is(award('radio'), '2+0 open 0 left t waits  finished f');
SELECT is((SELECT pool_waiting || ' ' || units_returned FROM tranche.sku WHERE sku_id = 'radio'), 'false true');
SELECT conserved();
-- An operator finishes it. What becomes of the winners is still noted.
SELECT is(step('radio', 'FINISH'), 'DONE FINISHED');
SELECT is(step('radio', 'FINISH'), 'DONE FINISHED');
SELECT is(step('radio', 'CANCEL'), 'STATE FINISHED');
SELECT is(confirm(of_buyer('radio', 'u1')), '{DONE CONFIRMED 2}');
SELECT is(cancel(of_buyer('radio', 'u3')), '{DONE CANCELLED 2}');
SELECT is(tranche.purge_draws(10), 0::bigint);
SELECT is(awards('radio'), '1 CONFIRMED, 3 LAPSED');
SELECT is(counts('radio'), 'FINISHED 0 1 1');
SELECT is(award('radio'), '0+0 open 0 left f waits  finished t', 'nobody else wins');

-- No entry is left, and none is pending.
SELECT sku('lamp', 5);
SELECT is(drawn('lamp', 3, 2), 'DONE 2 t');
SELECT is(award('lamp'), '2+0 open 1 left f waits  finished f');
SELECT cancel(of_buyer('lamp', 'u1') || of_buyer('lamp', 'u2'));
SELECT is(award('lamp'), '0+0 open 3 left f waits  finished t');
SELECT conserved();

-- Several units for each, with a limit above 1; the last of them do not fit.
SELECT sku('cam', 5, 4);
SELECT holder('cam', 1) AS node \gset
SELECT is(outcome(:node, 60, 'cam', 'u10'), 'CREATED');
SELECT is(drawn('cam', 3, 12, 2), 'DONE 12 t');
SELECT is(award('cam'), '2+0 open 1 left t waits SHORT finished f');
SELECT is((SELECT string_agg(user_id || ':' || quantity || ':' || ordinal, ' ' ORDER BY user_id, ordinal) FROM tranche.reservation
           WHERE sku_id = 'cam'), 'u10:1:1 u10:2:2 u6:2:1');
SELECT tranche.add_stock('cam', 1, 'x');
SELECT is(award('cam'), '0+0 open 1 left t waits SHORT finished f', 'one unit is not enough');
SELECT tranche.add_stock('cam', 1, 'x');
SELECT is(award('cam'), '1+0 open 0 left t waits  finished f');
SELECT conserved();

-- Reservations that retention has archived or dropped.
INSERT INTO tranche.reservation_archive (reservation_id, sku_id, user_id, quantity, state, amount_minor, currency, incarnation_id,
                                         created_at, expires_at, revision, extensions, finished_at, payment_reference)
VALUES (uid(70), 'cam', 'u6', 2, 'CONFIRMED', 1000, 'EUR', 0, now(), now(), 2, 0, now(), 'p');
UPDATE tranche.draw_award a SET reservation_id = uid(69 + a.place::integer) FROM tranche.draw d
WHERE d.draw_id = a.draw_id AND d.sku_id = 'cam' AND a.place < 3;
SELECT is(award('cam'), '0+0 open 1 left t waits SHORT finished f');
SELECT is(awards('cam'), '6 CONFIRMED, 10 LAPSED, 12 PENDING', 'what was dropped while the sale goes on has lapsed');
UPDATE tranche.draw_award a SET reservation_id = uid(75) FROM tranche.draw d
WHERE d.draw_id = a.draw_id AND d.sku_id = 'cam' AND a.place = 3;
SELECT tranche.close_sku('cam', 'x');
SELECT is(award('cam'), '0+0 open 1 left t waits CLOSED finished f');
SELECT is(awards('cam'), '6 CONFIRMED, 10 LAPSED, 12 CONFIRMED', 'it may have been paid');

-- The parts of procedures are not for servers.
SET ROLE tranche_node;
SELECT throws_ok('SELECT * FROM tranche.book_awards(1, 1)', '42501');
SELECT throws_ok('SELECT tranche.settle_awards(1, 1)', '42501');
SELECT throws_ok('SELECT * FROM tranche.draw_entry', '42501');
SELECT lives_ok($$ SELECT * FROM tranche.list_draws('') $$);
RESET ROLE;
SELECT * FROM finish();
