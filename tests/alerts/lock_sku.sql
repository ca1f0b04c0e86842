-- Locks the row of a SKU as long as this session lasts.
\set QUIET 1
BEGIN;
UPDATE tranche.sku SET title = title WHERE sku_id = 'radio';
\echo locked
