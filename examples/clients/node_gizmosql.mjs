// Ask Scrim from Node with @gizmodata/gizmosql-client, which is written in JavaScript alone.
// Usage: node node_gizmosql.mjs URL USER PASSWORD PURPOSE (tested here)

import { FlightSQLClient } from '@gizmodata/gizmosql-client';

const [url, username, password, purpose] = process.argv.slice(2);
const { protocol, hostname, port } = new URL(url);

const client = new FlightSQLClient({
  host: hostname,
  port: Number(port),
  plaintext: protocol === 'grpc:',
  username,
  password,
});

// This client sends no headers of one's own: the session is told the purpose.
await client.execute(`SET scrim.purpose = '${purpose.replaceAll("'", "''")}'`);

for (const { schema, tableName } of await client.getTables('scrim', 'care')) {
  console.log(`table: ${schema}.${tableName}`);
}

const sql = "SELECT count(*) AS patients FROM care.patients WHERE region = 'NORTH'";
const [row] = (await client.execute(sql)).toArray();
console.log(`patients in the north: ${row.patients}`);

try {
  await client.execute('SELECT physician_email FROM care.visits LIMIT 1');
  console.log('physician_email: shown to you');
} catch (refusal) {
  console.log(`physician_email: ${refusal.message}`);
}
await client.close();
