//! Seeded data: a base, and variants of it that agree on all that one principal may see.

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::cell::{CANARY, Cell, canary_float, canary_int};
use super::masks::DAY_MICROS;
use super::personas::Persona;
use super::place::Places;
use super::tables::Table;

/// The rows of all tables.
#[derive(Debug, Clone)]
pub(crate) struct Data {
    /// Where they lie, and so which columns there are.
    pub(crate) places: Places,
    tables: BTreeMap<Table, Vec<Vec<Cell>>>,
    /// The look-up table of wards: partner and ward.
    pub(crate) wards: Vec<(String, String)>,
}

/// What the visible data of a world hold besides good values.
#[derive(Debug, Clone, Copy)]
struct Dirt {
    codes: bool,
    zeros: bool,
}

impl Data {
    pub(crate) fn rows(&self, table: Table) -> &[Vec<Cell>] {
        &self.tables[&table]
    }

    /// The same data with other rows in one table.
    #[must_use]
    pub(crate) fn with_rows(mut self, table: Table, rows: Vec<Vec<Cell>>) -> Self {
        self.tables.insert(table, rows);
        self
    }

    /// The base data of a world: no canaries, and mostly no traps.
    pub(crate) fn base(places: Places, rng: &mut ChaCha8Rng) -> Self {
        let dirt = Dirt {
            codes: rng.random_bool(0.2),
            zeros: rng.random_bool(0.2),
        };
        Self::with(places, dirt, rng)
    }

    /// A base without any trap.
    pub(crate) fn clean(rng: &mut ChaCha8Rng) -> Self {
        Self::with(
            Places::LOCAL,
            Dirt {
                codes: false,
                zeros: false,
            },
            rng,
        )
    }

    fn with(places: Places, dirt: Dirt, rng: &mut ChaCha8Rng) -> Self {
        let mut tables = BTreeMap::new();
        let people = rng.random_range(70..110);
        let visits = rng.random_range(100..160);
        let orders = rng.random_range(70..110);
        tables.insert(
            Table::People,
            (1..=people).map(|id| person(id, dirt, rng)).collect(),
        );
        tables.insert(
            Table::Visits,
            (1..=visits).map(|id| visit(id, people, rng)).collect(),
        );
        tables.insert(
            Table::Orders,
            (1..=orders).map(|id| order(id, people, rng)).collect(),
        );
        tables.insert(Table::Vault, Vec::new());
        let wards = [
            ("acme", "W1"),
            ("acme", "W2"),
            ("beta", "W9"),
            ("acme", "W5"),
            ("beta", "W1"),
        ];
        let wards = wards
            .iter()
            .map(|(p, w)| ((*p).to_owned(), (*w).to_owned()))
            .collect();
        Self {
            places,
            tables,
            wards,
        }
    }

    /// The base with everything that `persona` may not see made up anew.
    pub(crate) fn variant(&self, persona: Persona, rng: &mut ChaCha8Rng) -> Self {
        let mut out = self.clone();
        for _ in 0..rng.random_range(0..4) {
            let ward = format!("{CANARY}{}", rng.random_range(0..1000));
            out.wards.push(("zeta".to_owned(), ward));
        }
        for table in Table::ALL {
            let rows = out.tables.remove(&table).unwrap_or_default();
            let rows = Variant {
                persona,
                table,
                base: self,
                rng,
            }
            .rows(rows);
            out.tables.insert(table, rows);
        }
        out
    }

    /// The raw values that `persona` may not see: of hidden rows, of hidden columns, under masks.
    pub(crate) fn unseen(&self, persona: Persona) -> Vec<Cell> {
        let mut unseen = Vec::new();
        for table in Table::ALL {
            let shown = persona.columns(table, self.places);
            for row in self.rows(table) {
                let admitted = persona.admitted(table, row, self);
                let visible = admitted.contains(&true);
                let width = table.schema(self.places.of(table), false).fields().len();
                for (i, cell) in row.iter().enumerate().take(width) {
                    let clear = visible
                        && shown.contains(&i)
                        && persona.cell(table, i, row, &admitted) == *cell;
                    if !clear {
                        unseen.push(cell.clone());
                    }
                }
            }
        }
        unseen
    }
}

struct Variant<'a> {
    persona: Persona,
    table: Table,
    base: &'a Data,
    rng: &'a mut ChaCha8Rng,
}

impl Variant<'_> {
    fn rows(mut self, rows: Vec<Vec<Cell>>) -> Vec<Vec<Cell>> {
        let mut out = Vec::new();
        for row in rows {
            if self.rng.random_bool(0.25) {
                out.extend(self.intruder(&row));
            }
            if self.is_visible(&row) {
                out.push(self.disguised(row));
            } else if self.rng.random_bool(0.8) {
                out.push(self.wild_row(&row));
            }
        }
        if self.table == Table::Vault {
            for n in 0..self.rng.random_range(1..20) {
                let value = Cell::Text(format!("{CANARY} vault {n}"));
                out.push(vec![Cell::Int(canary_int(n)), value]);
            }
        }
        out
    }

    fn is_visible(&self, row: &[Cell]) -> bool {
        self.persona
            .admitted(self.table, row, self.base)
            .contains(&true)
    }

    /// A visible row with other values wherever the principal cannot tell.
    fn disguised(&mut self, mut row: Vec<Cell>) -> Vec<Cell> {
        let (persona, table) = (self.persona, self.table);
        let admitted = persona.admitted(table, &row, self.base);
        let schema = table.schema(self.base.places.of(table), false);
        for i in 0..schema.fields().len() {
            let before = persona.cell(table, i, &row, &admitted);
            for attempt in 0..6 {
                let data_type = schema.field(i).data_type();
                let old = row[i].clone();
                if old == Cell::Null && before == Cell::Null && attempt > 2 {
                    break;
                }
                row[i] = if attempt % 2 == 0 {
                    wild(data_type, self.rng)
                } else {
                    near(&old, self.rng)
                };
                let same = persona.admitted(table, &row, self.base) == admitted
                    && persona.cell(table, i, &row, &admitted) == before;
                if same {
                    break;
                }
                row[i] = old;
            }
        }
        row
    }

    /// A hidden row full of traps.
    fn wild_row(&mut self, row: &[Cell]) -> Vec<Cell> {
        let schema = self.table.schema(self.base.places.of(self.table), false);
        for _ in 0..10 {
            let mut wilder = row.to_vec();
            for (i, cell) in wilder.iter_mut().enumerate().take(schema.fields().len()) {
                // Links to other tables stay, so that joins would meet hidden rows.
                let keep = matches!(
                    schema.field(i).name().as_str(),
                    "person" | "id" | "vid" | "oid"
                );
                if self.rng.random_bool(if keep { 0.2 } else { 0.7 }) {
                    let nullable = schema.field(i).name() != self.table.key();
                    let value = wild(schema.field(i).data_type(), self.rng);
                    *cell = if nullable || value != Cell::Null {
                        value
                    } else {
                        cell.clone()
                    };
                }
            }
            if !self.is_visible(&wilder) {
                return wilder;
            }
        }
        row.to_vec()
    }

    /// A hidden row that the base does not have, made from one that it has.
    fn intruder(&mut self, like: &[Cell]) -> Option<Vec<Cell>> {
        let mut row = like.to_vec();
        match self.table {
            Table::People => {
                let at = self.table.column("consent");
                row[at] = if self.rng.random_bool(0.5) {
                    Cell::Null
                } else {
                    Cell::Bool(false)
                };
            }
            Table::Visits => row[self.table.column("ward")] = Cell::text("W7"),
            Table::Orders => {
                row[self.table.column("status")] = Cell::text("void");
                row[self.table.column("qty")] = Cell::Int(0);
            }
            Table::Vault => {}
        }
        if self.is_visible(&row) {
            return None;
        }
        let row = self.wild_row(&row);
        (!self.is_visible(&row)).then_some(row)
    }
}

/// A value meant to break something, or to be found where it must not be.
fn wild(data_type: &DataType, rng: &mut ChaCha8Rng) -> Cell {
    if rng.random_bool(0.08) {
        return Cell::Null;
    }
    let n = rng.random_range(0..10_000_u16);
    match data_type {
        DataType::Boolean => Cell::Bool(rng.random_bool(0.5)),
        DataType::Int64 => Cell::Int(
            *[0, -1, 1, i64::MIN, i64::MAX, canary_int(n)]
                .choose(rng)
                .unwrap(),
        ),
        DataType::Int32 => Cell::Int(*[0, -1, 2_147_483_647, -2_147_483_648].choose(rng).unwrap()),
        DataType::Float64 => {
            let traps = [
                f64::NAN,
                -0.0,
                f64::INFINITY,
                f64::MAX,
                f64::MIN_POSITIVE,
                canary_float(n),
            ];
            Cell::Float(*traps.choose(rng).unwrap())
        }
        DataType::Float32 => Cell::Float(
            *[f64::NAN, -0.0, f64::INFINITY, 3.0e38, -1.5]
                .choose(rng)
                .unwrap(),
        ),
        DataType::Decimal128(precision, _) => {
            let max = 10_i128.pow(u32::from(*precision)) - 1;
            Cell::Decimal(*[0, 1, -1, max, -max].choose(rng).unwrap())
        }
        DataType::Date32 => Cell::Date(
            *[0, -1, i32::MIN, i32::MAX, -719_162, 2_932_896]
                .choose(rng)
                .unwrap(),
        ),
        DataType::Timestamp(..) => Cell::Time(
            *[0, -1, i64::MIN, i64::MAX, canary_int(n)]
                .choose(rng)
                .unwrap(),
        ),
        DataType::Struct(fields) => Cell::Struct(
            fields
                .iter()
                .map(|f| not_null(f.data_type(), rng))
                .collect(),
        ),
        DataType::List(item) => {
            let length = rng.random_range(0..4);
            Cell::List(
                (0..length)
                    .map(|_| not_null(item.data_type(), rng))
                    .collect(),
            )
        }
        DataType::Dictionary(..) => Cell::Text(format!("X{CANARY}{n}(")),
        _ => Cell::Text(match rng.random_range(0..6) {
            0 => format!("{CANARY}{n}("),
            1 => format!("{CANARY} {n} \u{1F9E8} \u{e9}"),
            2 => format!("{CANARY}{n}@{CANARY}.org"),
            3 => CANARY.repeat(40),
            4 => String::new(),
            _ => format!("{n} {CANARY}"),
        }),
    }
}

fn not_null(data_type: &DataType, rng: &mut ChaCha8Rng) -> Cell {
    loop {
        let cell = wild(data_type, rng);
        if cell != Cell::Null {
            return cell;
        }
    }
}

/// Another value that a mask may not tell from `cell`.
fn near(cell: &Cell, rng: &mut ChaCha8Rng) -> Cell {
    match cell {
        Cell::Int(value) => Cell::Int(value.saturating_add(rng.random_range(-20..20))),
        Cell::Float(value) => Cell::Float(value + f64::from(rng.random_range(-200..200)) / 64.0),
        Cell::Decimal(value) => Cell::Decimal(value + rng.random_range(-4_000..4_000)),
        Cell::Date(value) => Cell::Date(value + rng.random_range(-40..40)),
        Cell::Time(value) => {
            Cell::Time(value.saturating_add(rng.random_range(-DAY_MICROS..DAY_MICROS) / 2))
        }
        Cell::Text(text) => Cell::Text(near_text(text, rng)),
        Cell::Struct(cells) => {
            let mut cells = cells.clone();
            cells[0] = near(&cells[0], rng);
            Cell::Struct(cells)
        }
        Cell::List(cells) => Cell::List(cells.iter().map(|cell| near(cell, rng)).collect()),
        Cell::Bool(_) | Cell::Null => cell.clone(),
    }
}

fn near_text(text: &str, rng: &mut ChaCha8Rng) -> String {
    let n = rng.random_range(0..1000);
    let chars: Vec<char> = text.chars().collect();
    if let (Some((_, tld)), true) = (text.rsplit_once('.'), text.contains('@')) {
        let first: String = chars.iter().take(1).collect();
        return format!("{first}{CANARY}{n}@{CANARY}{n}.{tld}");
    }
    match rng.random_range(0..3) {
        // Other digits, all of them or the last ones.
        0 => {
            let from = if rng.random_bool(0.5) {
                0
            } else {
                chars.len().saturating_sub(2)
            };
            let digit = |rng: &mut ChaCha8Rng| char::from(b'0' + rng.random_range(0..10_u8));
            let swap = |(i, c): (usize, &char)| {
                if i >= from && c.is_ascii_digit() {
                    digit(rng)
                } else {
                    *c
                }
            };
            chars.iter().enumerate().map(swap).collect()
        }
        kind => {
            let (keep, end) = if kind == 1 {
                (*[1, 2, 3, 5].choose(rng).unwrap(), 0)
            } else {
                (0, 2)
            };
            let head: String = chars.iter().take(keep).collect();
            let tail: String = chars[chars.len().saturating_sub(end)..].iter().collect();
            format!("{head}{CANARY}{n}{tail}")
        }
    }
}

fn maybe(null: f64, rng: &mut ChaCha8Rng, value: impl FnOnce(&mut ChaCha8Rng) -> Cell) -> Cell {
    if rng.random_bool(null) {
        Cell::Null
    } else {
        value(rng)
    }
}

fn pick(rng: &mut ChaCha8Rng, from: &[&str]) -> Cell {
    Cell::text(*from.choose(rng).unwrap())
}

/// A multiple of 1/64: sums of these are exact in any order.
fn dyadic(rng: &mut ChaCha8Rng) -> Cell {
    match rng.random_range(0..30) {
        0 => Cell::Float(f64::NAN),
        1 => Cell::Float(-0.0),
        _ => Cell::Float(f64::from(rng.random_range(-4_000..4_000)) / 64.0),
    }
}

pub(crate) const NAMES: &[&str] = &[
    "Ana",
    "Bo\u{17e}ena",
    "J\u{f8}rgen",
    "\u{5f20}\u{4f1f}",
    "O'Hara",
    "Li",
    "Zo\u{eb} Q. Long-Name",
    "Ana Ana",
];
pub(crate) const NOTES: &[&str] = &[
    "short",
    "seen twice in 2024, room 12, no change",
    "a much longer note that lies outside of any view's own bytes, 42",
    "\u{e4}\u{f6}\u{fc} notes with umlauts and 7 more words to be long",
    "",
];

fn person(id: i64, dirt: Dirt, rng: &mut ChaCha8Rng) -> Vec<Cell> {
    let code = |rng: &mut ChaCha8Rng| match rng.random_range(0..40) {
        0 if dirt.codes => Cell::text("x9("),
        1 if dirt.codes => Cell::text(""),
        _ => Cell::Text(rng.random_range(10..3000).to_string()),
    };
    let low = i32::from(!dirt.zeros);
    let name = *NAMES.choose(rng).unwrap();
    let phone = format!(
        "+44 20 {:04} {:03}",
        rng.random_range(0..9999),
        rng.random_range(0..999)
    );
    let contact = vec![
        maybe(0.1, rng, |_| Cell::Text(phone)),
        pick(
            rng,
            &[
                "Bath",
                "Z\u{fc}rich",
                "Lyon",
                "a city with a rather long name",
            ],
        ),
    ];
    let tags = (0..rng.random_range(0..4))
        .map(|_| {
            pick(
                rng,
                &["red", "blue-ish", "green 12", "\u{9ed2}\u{8272}\u{7684}"],
            )
        })
        .collect();
    vec![
        Cell::Int(id),
        maybe(0.05, rng, |r| pick(r, &["EU", "EU", "UK", "UK", "US"])),
        maybe(0.05, rng, |r| Cell::Bool(r.random_bool(0.85))),
        maybe(0.05, rng, |_| Cell::text(name)),
        maybe(0.05, rng, code),
        maybe(0.05, rng, |r| {
            Cell::Int(i64::from(r.random_range(low..200)))
        }),
        maybe(0.08, rng, dyadic),
        maybe(0.08, rng, |r| {
            Cell::Decimal(r.random_range(-200_000..2_000_000))
        }),
        maybe(0.05, rng, |r| Cell::Date(r.random_range(-20_000..20_000))),
        maybe(0.05, rng, |r| {
            Cell::Time(r.random_range(0..20_000) * DAY_MICROS + r.random_range(0..DAY_MICROS))
        }),
        maybe(0.05, rng, |r| pick(r, &["10", "20", "30", "X1"])),
        maybe(0.05, rng, |r| pick(r, NOTES)),
        maybe(0.1, rng, |_| Cell::List(tags)),
        maybe(0.05, rng, |r| Cell::Int(r.random_range(0..10))),
        maybe(0.05, rng, |r| {
            Cell::Text(format!(
                "{}{}@mail{}.example.org",
                "ab",
                r.random_range(0..99),
                r.random_range(0..9)
            ))
        }),
        maybe(0.05, rng, |r| {
            Cell::Text(format!("{:05}", r.random_range(1000..99_999)))
        }),
        maybe(0.05, rng, |r| {
            Cell::Text(format!(
                "10.{}.{}.{}",
                r.random_range(0..9),
                r.random_range(0..255),
                r.random_range(0..255)
            ))
        }),
        Cell::Text(format!("secret {}", rng.random_range(0..10_000))),
        maybe(0.1, rng, |r| Cell::Int(r.random_range(0..100))),
        maybe(0.05, rng, |_| Cell::Struct(contact)),
    ]
}

fn visit(id: i64, people: i64, rng: &mut ChaCha8Rng) -> Vec<Cell> {
    vec![
        Cell::Int(id),
        maybe(0.05, rng, |r| Cell::Int(r.random_range(1..=people))),
        maybe(0.05, rng, |r| {
            pick(r, &["W1", "W2", "W3", "W4", "W5", "W6"])
        }),
        maybe(0.05, rng, |r| Cell::Date(r.random_range(19_000..20_000))),
        maybe(0.05, rng, |r| Cell::Decimal(r.random_range(0..100_000))),
        maybe(0.05, rng, |r| Cell::Int(r.random_range(1..240))),
        maybe(0.05, rng, |r| pick(r, NOTES)),
        maybe(0.1, rng, |r| Cell::Bool(r.random_bool(0.5))),
        maybe(0.05, rng, |r| pick(r, NAMES)),
        maybe(0.05, rng, |r| {
            Cell::Float(f64::from(r.random_range(2_240..2_600)) / 64.0)
        }),
    ]
}

fn order(id: i64, people: i64, rng: &mut ChaCha8Rng) -> Vec<Cell> {
    let items = (0..rng.random_range(0..3))
        .map(|_| {
            let sku = Cell::Text(format!("SKU{:04}", rng.random_range(0..50)));
            Cell::Struct(vec![
                sku,
                maybe(0.1, rng, |r| Cell::Int(r.random_range(0..9))),
            ])
        })
        .collect();
    vec![
        Cell::Int(id),
        maybe(0.05, rng, dyadic),
        maybe(0.05, rng, |r| Cell::Int(r.random_range(1..40))),
        maybe(0.05, rng, |r| pick(r, &["open", "paid", "void", "sent"])),
        maybe(0.05, rng, |r| {
            Cell::Time(r.random_range(15_000..20_000) * DAY_MICROS)
        }),
        maybe(0.05, rng, |r| Cell::Int(r.random_range(1..=people))),
        Cell::Text(format!(
            "4000-{:04}-{:04}",
            rng.random_range(0..20),
            rng.random_range(0..2)
        )),
        maybe(0.1, rng, |_| Cell::List(items)),
    ]
}
