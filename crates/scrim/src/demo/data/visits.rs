//! `care.visits`, in the order of admission.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int32Builder,
    Int64Builder, RecordBatch, StringBuilder, StringDictionaryBuilder, StructArray,
    TimestampMicrosecondBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use rand::Rng;

use super::canary;
use super::people::{self, ICD10, ICD10_PLANTED, Person, WARDS};
use super::pick::{log_normal, once_in, one, skewed};

const BATCH: usize = 10_000;
const SECONDS_A_DAY: i64 = 86_400;
/// 2020-01-01 in days since 1970.
const FIRST_DAY: i64 = 18_262;
/// Days from the first visit to the last: to the end of 2025.
const DAYS: i64 = 2_192;

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let coded = |name: &str| Field::new_dictionary(name, DataType::Int32, DataType::Utf8, true);
    let vitals = Fields::from(vec![
        Field::new("pulse", DataType::Int32, true),
        Field::new("temperature", DataType::Float64, true),
    ]);
    Arc::new(Schema::new(vec![
        Field::new("visit_id", DataType::Int64, false),
        Field::new("patient_id", DataType::Utf8, false),
        Field::new(
            "admitted_at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("discharged_on", DataType::Date32, true),
        coded("ward"),
        text("room"),
        text("region"),
        text("payer"),
        coded("icd10"),
        Field::new("length_of_stay", DataType::Int32, true),
        Field::new("cost", DataType::Decimal128(12, 2), true),
        Field::new("vitals", DataType::Struct(vitals), true),
        text("physician_email"),
        text("notes"),
        Field::new("sealed", DataType::Boolean, true),
    ]))
}

/// The table in two halves, for two files of one folder.
pub(super) fn parts<'a, R: Rng + 'a>(
    people: &'a [Person],
    count: usize,
    rng: R,
) -> impl Iterator<Item = impl Iterator<Item = Result<RecordBatch, ArrowError>>> + 'a {
    let everybody: Vec<&Person> = people.iter().collect();
    // both halves draw from one stream of numbers, one after the other
    let rng = std::rc::Rc::new(std::cell::RefCell::new(rng));
    let half = count / 2;
    [(1, half), (half + 1, count)]
        .into_iter()
        .map(move |(first, last)| {
            let (everybody, rng) = (everybody.clone(), std::rc::Rc::clone(&rng));
            (first..=last).step_by(BATCH).map(move |start| {
                let mut columns = Columns::new()?;
                for visit in start..(start + BATCH).min(last + 1) {
                    columns.push(visit, count, &everybody, &mut *rng.borrow_mut());
                }
                columns.finish()
            })
        })
}

struct Columns {
    visit_id: Int64Builder,
    patient_id: StringBuilder,
    admitted_at: TimestampMicrosecondBuilder,
    discharged_on: Date32Builder,
    ward: StringDictionaryBuilder<Int32Type>,
    room: StringBuilder,
    region: StringBuilder,
    payer: StringBuilder,
    icd10: StringDictionaryBuilder<Int32Type>,
    length_of_stay: Int32Builder,
    cost: Decimal128Builder,
    pulse: Int32Builder,
    temperature: Float64Builder,
    measured: Vec<bool>,
    physician_email: StringBuilder,
    notes: StringBuilder,
    sealed: BooleanBuilder,
}

impl Columns {
    fn new() -> Result<Self, ArrowError> {
        Ok(Self {
            visit_id: Int64Builder::new(),
            patient_id: StringBuilder::new(),
            admitted_at: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            discharged_on: Date32Builder::new(),
            ward: StringDictionaryBuilder::new(),
            room: StringBuilder::new(),
            region: StringBuilder::new(),
            payer: StringBuilder::new(),
            icd10: StringDictionaryBuilder::new(),
            length_of_stay: Int32Builder::new(),
            cost: Decimal128Builder::new().with_precision_and_scale(12, 2)?,
            pulse: Int32Builder::new(),
            temperature: Float64Builder::new(),
            measured: Vec::new(),
            physician_email: StringBuilder::new(),
            notes: StringBuilder::new(),
            sealed: BooleanBuilder::new(),
        })
    }

    fn push<R: Rng>(&mut self, visit: usize, count: usize, people: &[&Person], rng: &mut R) {
        let Some(person) = people::frequent(rng, people) else {
            return;
        };
        self.visit_id.append_value(visit as i64);
        self.patient_id.append_value(person.id());
        self.region.append_value(person.region);
        self.payer.append_option(person.insurer);
        let sealed = match rng.random_range(0..200_u32) {
            0 => Some(true),
            1..120 => None,
            _ => Some(false),
        };
        self.sealed.append_option(sealed);
        self.push_stay(visit, count, person, rng);
        self.push_findings(visit, rng);
        self.push_words(visit, sealed == Some(true), rng);
    }

    fn push_stay<R: Rng>(&mut self, visit: usize, count: usize, person: &Person, rng: &mut R) {
        let day = FIRST_DAY + visit as i64 * DAYS / count.max(1) as i64;
        let second = rng.random_range(0..SECONDS_A_DAY);
        let nights = if once_in(rng, 3) {
            log_normal(rng, 3.0, 0.9) as i32
        } else {
            0
        };
        self.admitted_at
            .append_value((day * SECONDS_A_DAY + second) * 1_000_000);
        self.discharged_on
            .append_option((!once_in(rng, 50)).then_some(day as i32 + nights));
        self.length_of_stay
            .append_option((!once_in(rng, 33)).then_some(nights));
        self.ward.append_value(if once_in(rng, 4) {
            one(rng, &WARDS)
        } else {
            person.ward
        });
        let (floor, room) = (rng.random_range(1..7), rng.random_range(1..40));
        match rng.random_range(0..50_u32) {
            0 => self.room.append_null(),
            1 => self.room.append_value("corridor"),
            _ => {
                let (wing, bed) = (one(rng, &["W", "E", "N"]), one(rng, &["A", "B"]));
                self.room
                    .append_value(format!("{wing}{floor}-{floor}{room:02}-{bed}"));
            }
        }
        let cents = (log_normal(rng, 900.0, 0.8) * 100.0) as i128 * i128::from(1 + nights);
        self.cost
            .append_option((!once_in(rng, 40)).then_some(cents));
    }

    fn push_findings<R: Rng>(&mut self, visit: usize, rng: &mut R) {
        let code = ICD10
            .get(skewed(rng, ICD10.len()))
            .copied()
            .unwrap_or_default();
        match visit {
            1_000 => self.icd10.append_value(ICD10_PLANTED),
            _ if once_in(rng, 60) => self.icd10.append_null(),
            _ => self.icd10.append_value(code),
        }
        self.measured.push(!once_in(rng, 10));
        self.pulse
            .append_option((!once_in(rng, 20)).then_some(rng.random_range(44..150)));
        let tenths = rng.random_range(355..405_i32);
        self.temperature
            .append_option((!once_in(rng, 20)).then_some(f64::from(tenths) / 10.0));
    }

    fn push_words<R: Rng>(&mut self, visit: usize, sealed: bool, rng: &mut R) {
        const NOTES: [&str; 6] = [
            "comes back in two weeks",
            "allergic to penicillin; family told",
            "patient asks for a second opinion — noted",
            "keine Besonderheiten",
            "douleurs thoraciques, ECG normal",
            "経過観察",
        ];
        if sealed {
            self.physician_email
                .append_value(format!("{}{visit}@example.org", canary::HELD));
            self.notes.append_value(format!("{}{visit}", canary::HELD));
            return;
        }
        match rng.random_range(0..50_u32) {
            0 => self.physician_email.append_null(),
            1 => self
                .physician_email
                .append_value(format!("{}{visit}@example.org", canary::EMAIL)),
            _ => self.physician_email.append_value(people::email(rng)),
        }
        match rng.random_range(0..50_u32) {
            0..25 => self.notes.append_null(),
            25 => self.notes.append_value(format!("{}{visit}", canary::NOTE)),
            26 => self.notes.append_value(""),
            _ => self.notes.append_value(one(rng, &NOTES)),
        }
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let schema = schema();
        let vitals = match schema.field_with_name("vitals")?.data_type() {
            DataType::Struct(fields) => StructArray::try_new(
                fields.clone(),
                vec![
                    Arc::new(self.pulse.finish()),
                    Arc::new(self.temperature.finish()),
                ],
                Some(NullBuffer::from(self.measured)),
            )?,
            other => return Err(ArrowError::SchemaError(format!("vitals is {other}"))),
        };
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.visit_id.finish()),
            Arc::new(self.patient_id.finish()),
            Arc::new(self.admitted_at.finish()),
            Arc::new(self.discharged_on.finish()),
            Arc::new(self.ward.finish()),
            Arc::new(self.room.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.payer.finish()),
            Arc::new(self.icd10.finish()),
            Arc::new(self.length_of_stay.finish()),
            Arc::new(self.cost.finish()),
            Arc::new(vitals),
            Arc::new(self.physician_email.finish()),
            Arc::new(self.notes.finish()),
            Arc::new(self.sealed.finish()),
        ];
        RecordBatch::try_new(schema, columns)
    }
}
