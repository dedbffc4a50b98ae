//! The contracts and agreements of the test world, as an owner writes them.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, Field};
use scrim_document::SourceFile;

use super::place::{Place, Places};
use super::tables::Table;

const PEOPLE: &str = "      guards:
        - id: consent
          rows: consent
        - id: office
          when: ip_in(context.ip, '10.0.0.0/8')
      profiles:
        partner:
          rows: region = principal.home AND kind NOT LIKE 'X%'
          columns:
            id: clear
            region: clear
            name: {mask: partial, keep_first: 1}
            code: clear
            weight: clear
            score: {mask: round, to: 10}
            balance: {mask: bucket, width: 100}
            born: {mask: truncate_date, unit: year}
            seen: clear
            kind: clear
            note: clear
            contact: clear
            contact.phone: {mask: partial, keep_last: 2}
            tags: clear
            'tags[]': {mask: prefix, length: 2}
            rank: {mask: top_code, limit: 5}
            email: {mask: email}
            zip: {mask: zip3}
            ip: {mask: ip_truncate}
          default: hidden
        audit:
          rows: extra >= 50
          columns:
            id: clear
            name: clear
            code: {mask: constant, value: '0'}
            weight: {mask: constant, value: 7}
            score: clear
            balance: clear
            born: clear
            kind: {mask: partial, keep_first: 1}
            note: {mask: prefix, length: 5}
            contact: clear
            rank: clear
            email: clear
          default: hidden
        research:
          rows: array_has(agreement.regions, region) AND character_length(note) > 20
          columns:
            id: {mask: pseudonymize}
            region: clear
            name: {mask: pseudonymize}
            code: {mask: prefix, length: 2}
            weight: {mask: bottom_code, limit: 3}
            score: {mask: 'null'}
            balance: {mask: round, to: 50}
            born: {mask: truncate_date, unit: month}
            seen: {mask: truncate_date, unit: day}
            kind: {mask: constant, value: K}
            note: {mask: regex_replace, pattern: '[0-9]', replacement: '#', on_no_match: keep}
            contact: clear
            contact.phone: {mask: 'null'}
            tags: clear
            rank: clear
          default: hidden
";

const VISITS: &str = "      profiles:
        lookup:
          rows: CAST(ward AS VARCHAR) IN (SELECT ward FROM lookup.wards WHERE partner = principal.org)
          columns:
            vid: clear
            person: clear
            ward: clear
            day: clear
            cost: {mask: round, to: 10}
            minutes: clear
            text: clear
            flag: clear
            doctor: {mask: pseudonymize}
            temp: clear
          default: hidden
        research:
          rows: temp >= 36.5
          columns:
            vid: clear
            person: {mask: pseudonymize}
            ward: clear
            day: clear
            cost: {mask: top_code, limit: 500}
            minutes: {mask: bucket, width: 15}
            flag: clear
            temp: clear
          default: hidden
";

const ORDERS: &str = "      profiles:
        buyer:
          rows: status <> 'void'
          columns:
            oid: clear
            amount: clear
            qty: clear
            status: clear
            placed: clear
            person: clear
            card: {mask: pseudonymize}
            items: clear
            'items[].sku': {mask: prefix, length: 3}
          default: hidden
        ledger:
          rows: qty > 10
          columns:
            oid: clear
            amount: {mask: round, to: 5}
            qty: clear
            status: {mask: constant, value: any}
            card: clear
          default: hidden
";

const VAULT: &str = "      profiles:
        all:
          default: clear
";

/// All agreements: id, contract, profile, organisation, who, parameters.
const AGREEMENTS: &[[&str; 6]] = &[
    [
        "acme-people-audit",
        "people",
        "audit",
        "acme",
        "array_has(principal.groups, 'auditor')",
        "{}",
    ],
    [
        "acme-people-partner",
        "people",
        "partner",
        "acme",
        "array_has(principal.groups, 'analyst')",
        "{}",
    ],
    [
        "beta-people",
        "people",
        "research",
        "beta",
        "principal.org = 'beta'",
        "{regions: [EU, UK]}",
    ],
    [
        "acme-visits",
        "visits",
        "lookup",
        "acme",
        "principal.org = 'acme'",
        "{}",
    ],
    [
        "beta-visits",
        "visits",
        "research",
        "beta",
        "principal.org = 'beta'",
        "{}",
    ],
    [
        "acme-orders-buyer",
        "orders",
        "buyer",
        "acme",
        "principal.org = 'acme'",
        "{}",
    ],
    [
        "acme-orders-ledger",
        "orders",
        "ledger",
        "acme",
        "array_has(principal.groups, 'auditor')",
        "{}",
    ],
    [
        "zeta-vault",
        "vault",
        "all",
        "zeta",
        "principal.org = 'zeta'",
        "{}",
    ],
];

/// The policy set as files.
pub(crate) fn files(places: Places) -> Vec<SourceFile> {
    let contracts = Table::ALL.map(|table| {
        SourceFile::new(
            format!("contracts/{}.odcs.yaml", table.name()),
            contract(table, places.of(table)),
        )
    });
    let agreements = AGREEMENTS
        .iter()
        .map(|[id, contract, profile, org, who, parameters]| {
            let text = format!(
                "apiVersion: v0.9.0\nkind: AccessAgreement\nid: {id}\nstatus: active\n\
             contract: {{id: {contract}, version: \"^1\"}}\nprofile: {profile}\n\
             consumer:\n  organisation: {org}\n  who: \"{who}\"\n\
             purpose: testing\nstart: 2024-01-01\nend: 2099-12-31\n\
             parameters: {parameters}\n"
            );
            SourceFile::new(format!("agreements/{id}.yaml"), text)
        });
    contracts.into_iter().chain(agreements).collect()
}

fn contract(table: Table, place: Place) -> String {
    let mut properties = String::new();
    for field in table.schema(place, false).fields() {
        property(field, 6, true, &mut properties);
    }
    let access = match table {
        Table::People => PEOPLE,
        Table::Visits => VISITS,
        Table::Orders => ORDERS,
        Table::Vault => VAULT,
    };
    // Nothing is said of columns that are not there.
    let is_said = |line: &&str| {
        place != Place::Postgres || !(line.contains("contact") || line.contains("items"))
    };
    let access: String = access.split_inclusive('\n').filter(is_said).collect();
    let (name, domain) = (table.name(), table.domain());
    format!(
        "apiVersion: v3.1.0\nkind: DataContract\nid: {name}\nname: {name}\nversion: 1.0.0\n\
         status: active\ndomain: {domain}\nservers:\n  - server: files\n    type: local\n    \
         path: {name}\n    format: parquet\nschema:\n  - name: {name}\n    physicalName: {name}\n    \
         physicalType: table\n    description: The {name} of the test world.\n    properties:\n\
         {properties}customProperties:\n  - property: accessPolicy\n    value:\n      \
         purposes: [testing]\n{access}"
    )
}

fn property(field: &Field, indent: usize, in_list: bool, out: &mut String) {
    let pad = " ".repeat(indent);
    let logical = match field.data_type() {
        DataType::Boolean => "boolean",
        DataType::Int32 | DataType::Int64 => "integer",
        DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) => "number",
        DataType::Date32 => "date",
        DataType::Timestamp(..) => "timestamp",
        DataType::Struct(_) => "object",
        DataType::List(_) => "array",
        _ => "string",
    };
    let start = if in_list {
        format!("{pad}- name: {}\n{pad}  ", field.name())
    } else {
        pad.clone()
    };
    let _ = writeln!(out, "{start}logicalType: {logical}");
    let inner = if in_list { indent + 2 } else { indent };
    let inner_pad = " ".repeat(inner);
    match field.data_type() {
        DataType::Struct(fields) => {
            let _ = writeln!(out, "{inner_pad}properties:");
            for field in fields {
                property(field, inner + 2, true, out);
            }
        }
        DataType::List(item) => {
            let _ = writeln!(out, "{inner_pad}items:");
            property(item, inner + 2, false, out);
        }
        _ => {}
    }
}
