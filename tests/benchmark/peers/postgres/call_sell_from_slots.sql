SELECT peers.sell_from_slots($1, $2, $3);
