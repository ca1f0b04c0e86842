-- The life of a draw: who may begin and change one, who may enter, and what the list of entries is.
\ir helpers.psql
\ir draw_helpers.psql
SELECT no_plan();

SELECT sku('tv', 10, 2), sku('radio', 10);

-- Nothing is there yet.
SELECT is((SELECT outcome FROM tranche.get_draw('tv', 0)), 'NO_DRAW');
SELECT is((SELECT outcome FROM tranche.get_draw('none', 0)), 'SKU_NOT_FOUND');
SELECT is((SELECT outcome FROM tranche.find_draw_entry('tv', 0, 'u1')), 'NO_DRAW');
SELECT is((SELECT outcome FROM tranche.list_draw_entries('tv', 1, NULL, 10)), 'NO_DRAW');
SELECT is((SELECT outcome FROM tranche.list_draw_awards('none', 1, 0, 10)), 'SKU_NOT_FOUND');
SELECT is((SELECT outcome FROM tranche.read_draw_chunks('tv', 1)), 'NO_DRAW');
SELECT is((SELECT outcome FROM tranche.seal_draw('tv', 1, 0, repeat('cd', 32))), 'NO_DRAW');
SELECT is((SELECT outcome FROM tranche.award_draw('tv', 1, 10)), 'NO_DRAW');
SELECT is_empty($$ SELECT * FROM tranche.list_draws('tv') $$);
SELECT is((SELECT outcome FROM tranche.list_draws('none')), 'SKU_NOT_FOUND');
SELECT is(enter('tv', 'u1'), 'NO_OPEN_DRAW');
SELECT is(enter('none', 'u1'), 'SKU_NOT_FOUND');
SELECT is(step('tv', 'CLOSE'), 'NO_DRAW');
SELECT is(new_draw('none', 3), 'SKU_NOT_FOUND');

-- What it is made of.
SELECT throws_ok($$ SELECT new_draw('tv', 0) $$, '23514');
SELECT throws_ok($$ SELECT new_draw('tv', 3, 3) $$, '22023', 'a buyer may have 2 of tv');
SELECT throws_ok($$ SELECT * FROM tranche.create_draw('tv', 3, 1, '', '', NULL, 'x') $$, '23514');
SELECT throws_ok($$ SELECT * FROM tranche.create_draw('tv', 3, 1, repeat('ab', 32), 'drand', NULL, 'x') $$, '23514');
SELECT is(new_draw('tv', 3, 2, 2), 'STATE', 'it would have number 1');
SELECT is((SELECT draws FROM tranche.sku WHERE sku_id = 'tv'), 0::bigint);
SELECT is(new_draw('tv', 3, 2, 1), 'DONE 1 OPEN');
SELECT is(new_draw('tv', 3, 2, 1), 'DONE 1 OPEN', 'it is there as asked for');
SELECT is(new_draw('tv', 4, 2, 1), 'STATE 1 OPEN', 'it is another one');
SELECT is(new_draw('tv', 3, 2), 'STATE 1 OPEN', 'one of this SKU is not over');
SELECT is(new_draw('tv', 3, 2, 2), 'STATE 1 OPEN');
SELECT results_eq($$ SELECT actor, after - 'seed_commitment' FROM tranche.audit_log WHERE action = 'create_draw' $$,
                  $$ VALUES ('alice', '{"draw": 1, "winners": 3, "quantity": 2}'::jsonb) $$, 'once');

-- Entries.
SELECT is(enter('tv', 'u1', 'u2', 'u3'), 'ENTERED, ENTERED, ENTERED');
SELECT is(enter('tv', 'u4', 'u2'), 'ENTERED, ENTERED again');
SELECT is((SELECT count(DISTINCT entry_id) FROM tranche.draw_entry), 4::bigint);
SELECT is((SELECT e.entry_id FROM tranche.enter_draws(true, '{tv}', '{u2}') AS e), (SELECT entry_id FROM tranche.find_draw_entry('tv', 0, 'u2')),
          'the same entry');
SELECT is((SELECT string_agg(concat_ws(' ', outcome, state), ', ' ORDER BY idx)
           FROM tranche.enter_draws(true, '{radio,tv,none,tv}', '{u1,u5,u1,u1}')),
          'NO_OPEN_DRAW, ENTERED, SKU_NOT_FOUND, ENTERED', 'each is answered by itself');
SELECT is((SELECT draw_number FROM tranche.enter_draws(NULL, '{tv}', '{u6}')), 1::bigint, 'without waiting');
SELECT is((SELECT sum(entries)::bigint FROM tranche.draw_tally), 6::bigint);
SELECT is((SELECT entries FROM tranche.get_draw('tv', 1)), NULL, 'not told yet');
SELECT is((SELECT entries FROM tranche.list_draws('')), 6::bigint, 'counted for operators');
SELECT is((SELECT outcome FROM tranche.find_draw_entry('tv', 1, 'u9')), 'NO_ENTRY');
SELECT is((SELECT outcome || ' ' || state FROM tranche.list_draw_entries('tv', 1, NULL, 10)), 'STATE OPEN', 'not before it closes');
SELECT move_sku('radio', 'LEAVING');
SELECT is(enter('radio', 'u1'), 'MOVING');
SELECT move_sku('radio', 'GONE');
SELECT is(enter('radio', 'u1'), 'SKU_NOT_FOUND');
SELECT move_sku('radio', 'HERE');

-- So many and no more, save those who are in.
UPDATE tranche.draw_tally SET entries = entries + 10000000;
SELECT is(enter('tv', 'u7', 'u1'), 'FULL, ENTERED again');
UPDATE tranche.draw_tally SET entries = entries - 10000000;

-- A SKU that has a draw does not move.
SELECT throws_ok(format($$ SELECT * FROM tranche.prepare_leave('tv', %L) $$, uid(900)), 'TR002',
                 'SKU tv has a draw, and a SKU with a draw does not move: remove it first (tranchectl draw remove)');
SELECT is((SELECT move_token FROM tranche.sku WHERE sku_id = 'tv'), NULL);
UPDATE tranche.sku SET move_token = uid(900) WHERE sku_id = 'tv';
SELECT throws_ok(format($$ SELECT tranche.begin_leave('tv', %L, 'hot', 'x') $$, uid(900)), 'TR002');
UPDATE tranche.sku SET move_token = NULL WHERE sku_id = 'tv';

-- Steps that are not to be taken yet.
SELECT is(step('tv', 'SEED'), 'STATE OPEN');
SELECT is(step('tv', 'FINISH'), 'STATE OPEN');
SELECT is(step('tv', 'REMOVE'), 'STATE OPEN');
SELECT is((SELECT outcome FROM tranche.add_draw_chunks('tv', 1, '{0}', uids(1), uids(2), '{2}', ARRAY[repeat('ab', 32)])), 'STATE');
SELECT is((SELECT outcome FROM tranche.seal_draw('tv', 1, 6, repeat('cd', 32))), 'STATE');
SELECT is(rank_next('tv'), 'STATE 0 f');
SELECT is((SELECT outcome FROM tranche.award_draw('tv', 1, 10)), 'STATE');
SELECT is_empty($$ SELECT * FROM tranche.list_draw_work() $$);
SELECT throws_ok($$ SELECT step('tv', 'OPEN') $$, '22023');
SELECT throws_ok($$ SELECT step('tv', 'SEED', 1, repeat('00', 15)) $$, '22023');

-- The close, and the list.
SELECT is(step('tv', 'CLOSE'), 'DONE CLOSING');
SELECT is(step('tv', 'CLOSE'), 'DONE CLOSING', 'again');
SELECT is((SELECT count(*) FROM tranche.audit_log WHERE action = 'close_draw'), 1::bigint);
SELECT is(enter('tv', 'u8', 'u1'), 'NO_OPEN_DRAW CLOSING, ENTERED again', 'who is in hears so');
SELECT is((SELECT number FROM tranche.list_draw_work()), 1::bigint);
SELECT entry_ids AS ids FROM tranche.list_draw_entries('tv', 1, NULL, 10) \gset
SELECT is(:'ids', (SELECT string_agg(replace(entry_id::text, '-', ''), '' ORDER BY entry_id) FROM tranche.draw_entry));
SELECT entry_id AS second FROM tranche.draw_entry ORDER BY entry_id OFFSET 1 LIMIT 1 \gset
SELECT is((SELECT entry_ids FROM tranche.list_draw_entries('tv', 1, :'second', 3)), substr(:'ids', 65, 96), 'a page');
SELECT is((SELECT outcome || coalesce(entry_ids, '') FROM tranche.list_draw_entries('tv', 1, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 3)), 'DONE');

-- Only the whole list is sealed.
SELECT is((SELECT outcome FROM tranche.seal_draw('tv', 1, 6, repeat('cd', 32))), 'INCOMPLETE', 'there is no chunk');
SELECT is((SELECT outcome FROM tranche.add_draw_chunks('tv', 1, '{1}', uids(1), uids(2), '{6}', ARRAY[repeat('ab', 32)])), 'DONE');
SELECT is((SELECT outcome FROM tranche.seal_draw('tv', 1, 6, repeat('cd', 32))), 'INCOMPLETE', 'the first chunk is missing');
DELETE FROM tranche.draw_chunk;
SELECT is((SELECT outcome FROM tranche.add_draw_chunks('tv', 1, '{0,1}', uids(1, 3), uids(2, 4), '{3,3}',
                                                       ARRAY[repeat('ab', 32), repeat('ab', 32)])), 'DONE');
SELECT is((SELECT outcome FROM tranche.seal_draw('tv', 1, 6, repeat('cd', 32))), 'INCOMPLETE', 'a chunk before the last is not whole');
DELETE FROM tranche.draw_chunk;
SELECT is(seal('tv', 6), 'DONE DONE');
SELECT is(seal('tv', 6), 'DONE DONE', 'again');
SELECT is((SELECT outcome || ' ' || state FROM tranche.seal_draw('tv', 1, 6, repeat('ee', 32))), 'STATE CLOSED', 'otherwise');
SELECT is((SELECT concat_ws(' ', chunk_no, entries, hash) FROM tranche.read_draw_chunks('tv', 1)), '0 6 ' || repeat('ab', 32));
SELECT is((SELECT concat_ws(' ', state, entries, merkle_root) FROM tranche.get_draw('tv', 0)), 'CLOSED 6 ' || repeat('cd', 32));
SELECT is_empty($$ SELECT * FROM tranche.list_draw_work() $$, 'it waits for the seed');

-- The seed is the one that it is committed to.
SELECT is(step('tv', 'SEED', 1, repeat('00', 16)), 'SEED CLOSED');
SELECT is(step('tv', 'SEED'), 'DONE SEEDED');
SELECT is(step('tv', 'SEED'), 'DONE SEEDED', 'again');
SELECT is(step('tv', 'SEED', 1, repeat('00', 16)), 'SEED SEEDED');
SELECT is((SELECT seed FROM tranche.get_draw('tv', 0)), seed());
SELECT is(step('tv', 'CLOSE'), 'DONE SEEDED', 'it was closed');

-- Called off, and removed.
SELECT is(step('tv', 'CANCEL'), 'DONE CANCELLED');
SELECT is(step('tv', 'CANCEL'), 'DONE CANCELLED');
SELECT is(step('tv', 'SEED'), 'STATE CANCELLED');
SELECT is(rank_next('tv'), 'STATE 0 f');
SELECT is(step('tv', 'REMOVE'), 'DONE CANCELLED');
SELECT is(step('tv', 'REMOVE'), 'DONE CANCELLED', 'again');
SELECT is((SELECT count(*) FROM tranche.audit_log WHERE action = 'remove_draw'), 1::bigint);
SELECT is((SELECT outcome FROM tranche.get_draw('tv', 1)), 'NO_DRAW');
SELECT is(enter('tv', 'u1'), 'NO_OPEN_DRAW');
SELECT is_empty($$ SELECT * FROM tranche.list_draws('') $$);
SELECT lives_ok(format($$ SELECT * FROM tranche.prepare_leave('tv', %L) $$, uid(901)), 'it may move now');

-- No number is used twice, and an entry is one of its draw.
SELECT is(new_draw('tv', 3), 'DONE 2 OPEN');
SELECT is(enter('tv', 'u1'), 'ENTERED');
SELECT is((SELECT number FROM tranche.find_draw_entry('tv', 0, 'u1')), 2::bigint);

-- 6 entries, a chunk and at least a part of the tally, and the draw itself.
SELECT is(tranche.purge_draws(4), 4::bigint);
SELECT is(tranche.purge_draws(2), 2::bigint);
SELECT cmp_ok(tranche.purge_draws(100), '>=', 3::bigint);
SELECT is(tranche.purge_draws(100), 0::bigint);
SELECT is((SELECT count(*) FROM tranche.draw_entry), 1::bigint, 'that of the other draw stays');
SELECT is(step('tv', 'REMOVE', 1), 'NO_DRAW', 'nothing is known of it');

-- A public value: the operator types it in.
SELECT is((SELECT outcome || ' ' || public_source FROM tranche.create_draw('radio', 1, 1, '', 'drand 7', NULL, 'bob')), 'DONE drand 7');
SELECT is(step('radio', 'CLOSE'), 'DONE CLOSING');
SELECT is((SELECT outcome FROM tranche.seal_draw('radio', 1, 0, repeat('cd', 32))), 'DONE', 'nobody has entered');
SELECT is(step('radio', 'SEED', 1, repeat('77', 32)), 'DONE SEEDED');
SELECT is(step('radio', 'SEED', 1, repeat('77', 32)), 'DONE SEEDED');
SELECT is(step('radio', 'SEED', 1, repeat('78', 32)), 'STATE SEEDED', 'it does not change');
SELECT is(rank_next('radio'), 'DONE 0 t');
SELECT is(award('radio'), '0+0 open 1 left f waits  finished t');
SELECT is(counts('radio'), 'FINISHED 0 0 0');

-- After a restore an older copy is given up, with its draws.
SELECT tranche.add_shard('hot', 'host=a dbname=t', 'alice');
SELECT lives_ok($$ SELECT tranche.give_up_copy('tv', 'hot', 'alice') $$);
SELECT is((SELECT state || (removed_at IS NOT NULL) FROM tranche.draw WHERE sku_id = 'tv'), 'CANCELLEDtrue');
SELECT is(enter('tv', 'u2'), 'SKU_NOT_FOUND');
SELECT conserved();
SELECT * FROM finish();
