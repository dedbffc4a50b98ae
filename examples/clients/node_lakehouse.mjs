// Ask Scrim from Node with @lakehouse-rs/flight-sql-client and apache-arrow.
// Usage: node node_lakehouse.mjs URL USER PASSWORD PURPOSE (tested here)

import { createFlightSqlClient } from '@lakehouse-rs/flight-sql-client';
import { tableFromIPC } from 'apache-arrow';

const [url, username, password, purpose] = process.argv.slice(2);
const { protocol, hostname, port } = new URL(url);

const client = await createFlightSqlClient({
  username,
  password,
  host: hostname,
  port: Number(port),
  tls: protocol === 'grpc+tls:',
  headers: [{ key: 'x-scrim-purpose', value: purpose }],
});

const tables = tableFromIPC(await client.getTables({ dbSchemaFilterPattern: 'care' }));
for (const table of tables) console.log(`table: ${table.db_schema_name}.${table.table_name}`);

const sql = "SELECT region, count(*) AS patients FROM care.patients WHERE region = 'NORTH' GROUP BY region";
for (const row of tableFromIPC(await client.query(sql))) {
  console.log(`patients in the north: ${row.patients}`);
}

// This client tells that a query was refused, and not why; see the other one.
try {
  await client.query('SELECT physician_email FROM care.visits LIMIT 1');
  console.log('physician_email: shown to you');
} catch (refusal) {
  console.log(`physician_email: ${refusal.message}`);
}
