-- Keys are rotated once in a quarter of an hour, which is longer than most runs: lets them be older. The rotation that
-- follows counts the change, so that nodes read it.
UPDATE tranche.front_key SET since = since - interval '1 hour'
