-- Locks cam's row for a prepared transaction, and phone's for as long as this session lasts.
\set QUIET 1
BEGIN;
UPDATE tranche.sku SET title = title WHERE sku_id = 'cam';
PREPARE TRANSACTION 'forgotten';
BEGIN;
UPDATE tranche.sku SET title = title WHERE sku_id = 'phone';
\echo locked
