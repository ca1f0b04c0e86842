SELECT * FROM rabbitmq_peer.sell($1::uuid[], $2::text[], $3::text[], $4::integer[]);
