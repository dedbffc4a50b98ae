//! `care.patients`.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Int64Builder, ListBuilder, RecordBatch, StringBuilder,
    StringDictionaryBuilder, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use rand::Rng;

use super::canary;
use super::people::{self, LIGHTHOUSE, Person, SUNROOM};
use super::pick::{log_normal, once_in, one, weighted};

/// Rows of one batch, and so of one row group at most.
const BATCH: usize = 5_000;

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let contact = Fields::from(vec![text("phone"), text("email")]);
    Arc::new(Schema::new(vec![
        Field::new("patient_id", DataType::Utf8, false),
        text("full_name"),
        text("national_id"),
        Field::new("birth_date", DataType::Date32, true),
        text("sex"),
        text("zip"),
        text("region"),
        Field::new_dictionary("ward", DataType::Int32, DataType::Utf8, true),
        text("insurer"),
        Field::new("household_income", DataType::Int64, true),
        Field::new("contact", DataType::Struct(contact), true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
        text("registered_from"),
        Field::new("consent_research", DataType::Boolean, true),
        Field::new("legal_hold", DataType::Boolean, false),
    ]))
}

/// The table, batch by batch.
pub(super) fn batches<R: Rng>(
    people: &[Person],
    mut rng: R,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
    people.chunks(BATCH).map(move |chunk| {
        let mut columns = Columns::default();
        for person in chunk {
            columns.push(person, &mut rng);
        }
        columns.finish()
    })
}

#[derive(Default)]
struct Columns {
    patient_id: StringBuilder,
    full_name: StringBuilder,
    national_id: StringBuilder,
    birth_date: Date32Builder,
    sex: StringBuilder,
    zip: StringBuilder,
    region: StringBuilder,
    ward: StringDictionaryBuilder<Int32Type>,
    insurer: StringBuilder,
    household_income: Int64Builder,
    phone: StringBuilder,
    email: StringBuilder,
    contact_known: Vec<bool>,
    tags: ListBuilder<StringBuilder>,
    registered_from: StringBuilder,
    consent_research: BooleanBuilder,
    legal_hold: BooleanBuilder,
}

impl Columns {
    fn push<R: Rng>(&mut self, person: &Person, rng: &mut R) {
        let planted = person.ward == LIGHTHOUSE || person.ward == SUNROOM;
        self.patient_id.append_value(person.id());
        self.region.append_value(person.region);
        self.ward.append_value(person.ward);
        self.insurer.append_option(person.insurer);
        self.legal_hold.append_value(person.held);
        self.push_identity(person, planted, rng);
        self.push_life(person, planted, rng);
        self.push_contact(person, planted, rng);
        self.push_tags(person, planted, rng);
        let consent = weighted(rng, &[(55, "yes"), (35, "no"), (10, "")]);
        let consent = if planted { "yes" } else { consent };
        self.consent_research
            .append_option((!consent.is_empty()).then_some(consent == "yes"));
    }

    fn push_identity<R: Rng>(&mut self, person: &Person, planted: bool, rng: &mut R) {
        let (first, last) = people::name(rng);
        let draw = rng.random_range(0..200_u32);
        let number = person.number;
        match draw {
            _ if person.held => self
                .full_name
                .append_value(format!("{}{number}", canary::HELD)),
            _ if person.ward == LIGHTHOUSE => self.full_name.append_value("Zoë Ångström"),
            _ if planted => self.full_name.append_value("Jose\u{301} Okafor"),
            0..6 => self.full_name.append_null(),
            6 => self.full_name.append_value(""),
            7..11 => self
                .full_name
                .append_value(format!("{}{number}", canary::NAME)),
            _ => self.full_name.append_value(format!("{first} {last}")),
        }
        let draw = rng.random_range(0..100_u32);
        match draw {
            _ if person.held => self
                .national_id
                .append_value(format!("{}{number}", canary::HELD)),
            0..3 if !planted => self.national_id.append_null(),
            3..6 if !planted => {
                self.national_id
                    .append_value(format!("{}{number}", canary::NATIONAL_ID));
            }
            _ => {
                let (a, b) = (rng.random_range(100..999), rng.random_range(10_000..99_999));
                self.national_id.append_value(format!("{a}-{b}"));
            }
        }
    }

    fn push_life<R: Rng>(&mut self, person: &Person, planted: bool, rng: &mut R) {
        // 2026-01-01 less up to 110 years
        let born = 20_454 - rng.random_range(0..110 * 365);
        match person.ward {
            LIGHTHOUSE => self.birth_date.append_value(-5_769), // 1954-03-17
            SUNROOM => self.birth_date.append_value(-3_129),    // 1961-06-08
            _ if once_in(rng, 33) => self.birth_date.append_null(),
            _ => self.birth_date.append_value(born),
        }
        let sex = weighted(rng, &[(49, "F"), (48, "M"), (1, "X"), (2, "")]);
        self.sex
            .append_option(Some(sex).filter(|sex| !sex.is_empty()));
        self.push_zip(person, planted, rng);
        let income = log_normal(rng, 48_000.0, 0.7) as i64;
        self.household_income
            .append_option((planted || !once_in(rng, 33)).then_some(income));
    }

    fn push_zip<R: Rng>(&mut self, person: &Person, planted: bool, rng: &mut R) {
        // areas with more and with fewer than 20,000 people: the latter become 000 under `zip3`
        let areas: &[&str] = match person.region {
            "NORTH" => &["021", "100", "112", "606", "036", "059"],
            "SOUTH" => &["331", "770", "752", "300", "790", "692"],
            "EAST" => &["191", "200", "212", "063", "102", "203"],
            "WEST" => &["900", "941", "981", "821", "823", "830", "890", "893"],
            _ => &["967", "968", "878", "879", "556", "884", "831"],
        };
        let tail = rng.random_range(0..100_u32);
        let plus = rng.random_range(0..10_000_u32);
        match rng.random_range(0..200_u32) {
            _ if planted => self.zip.append_value("02139"),
            0..4 => self.zip.append_null(),
            4 => self.zip.append_value("unknown"),
            5..25 => self
                .zip
                .append_value(format!("{}{tail:02}-{plus:04}", one(rng, areas))),
            _ => self
                .zip
                .append_value(format!("{}{tail:02}", one(rng, areas))),
        }
    }

    fn push_contact<R: Rng>(&mut self, person: &Person, planted: bool, rng: &mut R) {
        let number = person.number;
        let draw = rng.random_range(0..100_u32);
        let (phone, email) = (people::phone(rng), people::email(rng));
        let (phone, email) = match draw {
            _ if person.held => (
                Some(format!("{}{number}", canary::HELD)),
                Some(format!("{}{number}@example.org", canary::HELD)),
            ),
            _ if planted => (Some(phone), Some("zoe.angstrom@example.org".to_owned())),
            0..5 => (None, Some(email)),
            5..10 => (Some(phone), None),
            10..13 => (Some(format!("{}{number}", canary::PHONE)), Some(email)),
            13..16 => (
                Some(phone),
                Some(format!("{}{number}@example.org", canary::EMAIL)),
            ),
            16 => (Some(String::new()), Some("not an address".to_owned())),
            _ => (Some(phone), Some(email)),
        };
        self.contact_known
            .push(planted || person.held || !(96..100).contains(&draw));
        self.phone.append_option(phone);
        self.email.append_option(email);
        match rng.random_range(0..20_u32) {
            0 => self.registered_from.append_null(),
            1..4 => {
                // writing to the builder cannot fail; `write!` only says so by type
                let written = write!(
                    self.registered_from,
                    "2001:db8:{:x}:{:x}::{:x}",
                    rng.random::<u16>(),
                    rng.random::<u16>(),
                    rng.random::<u16>()
                );
                debug_assert!(written.is_ok());
                self.registered_from.append_value("");
            }
            _ => {
                let [a, b, c] = [0; 3].map(|_: u8| rng.random_range(1..255_u8));
                self.registered_from.append_value(format!("10.{a}.{b}.{c}"));
            }
        }
    }

    fn push_tags<R: Rng>(&mut self, person: &Person, planted: bool, rng: &mut R) {
        let draw = rng.random_range(0..100_u32);
        let tags: &[&str] = match draw {
            _ if person.ward == SUNROOM => &["study-7", "programme-diabetes"],
            _ if planted => &["programme-heart"],
            0..5 => {
                self.tags.append_null();
                return;
            }
            5..9 => &["study-7"],
            9..12 => &["study-12", "programme-heart"],
            12..20 => &["programme-diabetes"],
            20 => &["vip", ""],
            _ => &[],
        };
        for tag in tags {
            self.tags.values().append_value(tag);
        }
        self.tags.append(true);
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let schema = schema();
        let contact = match schema.field_with_name("contact")?.data_type() {
            DataType::Struct(fields) => StructArray::try_new(
                fields.clone(),
                vec![Arc::new(self.phone.finish()), Arc::new(self.email.finish())],
                Some(NullBuffer::from(self.contact_known)),
            )?,
            other => return Err(ArrowError::SchemaError(format!("contact is {other}"))),
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.patient_id.finish()),
            Arc::new(self.full_name.finish()),
            Arc::new(self.national_id.finish()),
            Arc::new(self.birth_date.finish()),
            Arc::new(self.sex.finish()),
            Arc::new(self.zip.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.ward.finish()),
            Arc::new(self.insurer.finish()),
            Arc::new(self.household_income.finish()),
            Arc::new(contact),
            Arc::new(self.tags.finish()),
            Arc::new(self.registered_from.finish()),
            Arc::new(self.consent_research.finish()),
            Arc::new(self.legal_hold.finish()),
        ];
        RecordBatch::try_new(schema, columns)
    }
}
