// Reads everything that one client of Node can read and prints it as JSON, for test_node.py.
// Usage: node probe.mjs CLIENT HOST PORT PLAINTEXT USER PASSWORD PURPOSE SQL...

import { FlightSQLClient } from '@gizmodata/gizmosql-client';
import { createFlightSqlClient } from '@lakehouse-rs/flight-sql-client';
import { tableFromIPC } from 'apache-arrow';

const [name, host, port, plaintext, username, password, purpose, ...statements] = process.argv.slice(2);

async function lakehouse() {
  const client = await createFlightSqlClient({
    username,
    password,
    host,
    port: Number(port),
    tls: plaintext !== 'true',
    headers: [{ key: 'x-scrim-purpose', value: purpose }],
  });
  const read = async (bytes) => tableFromIPC(await bytes);
  const column = (table, field) => table.toArray().map((row) => row[field]);
  return {
    query: (sql) => read(client.query(sql)),
    catalogs: column(await read(client.getCatalogs()), 'catalog_name'),
    schemas: column(await read(client.getDbSchemas({})), 'db_schema_name'),
    tables: column(await read(client.getTables({ tableTypes: ['TABLE'], includeSchema: true })), 'table_name'),
    close: () => {},
  };
}

async function gizmosql() {
  const client = new FlightSQLClient({ host, port: Number(port), plaintext: plaintext === 'true', username, password });
  await client.execute(`SET scrim.purpose = '${purpose}'`);
  const about = await client.getSqlInfo();
  return {
    query: (sql) => client.execute(sql),
    catalogs: await client.getCatalogs(),
    schemas: (await client.getSchemas('scrim')).map((row) => row.schema),
    tables: (await client.getTables('scrim', '%', '%', ['TABLE'])).map((row) => row.tableName),
    types: await client.getTableTypes(),
    about: { server: about.get(0), readOnly: about.get(3), quote: about.get(504) },
    close: () => client.close(),
  };
}

const { query, close, ...told } = await (name === 'gizmosql' ? gizmosql() : lakehouse());
told.results = [];
for (const sql of statements) {
  try {
    const table = await query(sql);
    told.results.push({
      columns: table.schema.fields.map((field) => [field.name, String(field.type)]),
      rows: table.numRows,
      first: table.numRows ? table.get(0).toJSON() : null,
    });
  } catch (refusal) {
    told.results.push({ refused: refusal.message });
  }
}
await close();
const plain = (key, value) => (typeof value === 'bigint' ? Number(value) : value);
console.log(JSON.stringify(told, plain));
