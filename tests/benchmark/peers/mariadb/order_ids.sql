SELECT id FROM peers.orders;
