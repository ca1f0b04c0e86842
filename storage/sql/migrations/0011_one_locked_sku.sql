-- Expiry passes over SKUs that are locked, and carts can be committed without waiting for locks.
--
-- Made anew by procedures/, with parameters more, which have defaults: servers and workers of before call them as they did.
-- The locks that this takes on the functions are held for milliseconds.

DROP FUNCTION IF EXISTS tranche.expire_due(integer);
DROP FUNCTION IF EXISTS tranche.commit_cart(bigint, uuid[], text[], text[], integer[], text[]);
