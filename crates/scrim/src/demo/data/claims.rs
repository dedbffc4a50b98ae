//! `insurance.claims`, in the order of service.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder,
    RecordBatch, StringBuilder, StringDictionaryBuilder,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::error::ArrowError;
use rand::Rng;

use super::canary;
use super::people::{self, ICD10, Person};
use super::pick::{log_normal, once_in, skewed, weighted};

const BATCH: usize = 20_000;
/// 2020-01-01 in days since 1970.
const FIRST_DAY: i32 = 18_262;
const DAYS: usize = 2_192;

fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let money = |name: &str| Field::new(name, DataType::Decimal128(12, 2), true);
    Arc::new(Schema::new(vec![
        Field::new("claim_id", DataType::Int64, false),
        text("policy_number"),
        Field::new("patient_id", DataType::Utf8, false),
        text("provider"),
        text("region"),
        Field::new("service_date", DataType::Date32, true),
        text("icd10"),
        money("amount"),
        money("paid"),
        Field::new_dictionary("status", DataType::Int32, DataType::Utf8, true),
        text("iban"),
        text("holder_email"),
        Field::new("fraud_score", DataType::Float64, true),
        Field::new("legal_hold", DataType::Boolean, false),
    ]))
}

/// The table, batch by batch: `count` claims of the people whom Harbor insures.
pub(super) fn batches<R: Rng>(
    people: &[Person],
    count: usize,
    mut rng: R,
) -> impl Iterator<Item = Result<RecordBatch, ArrowError>> {
    let insured: Vec<&Person> = people
        .iter()
        .filter(|person| person.insurer == Some("harbor"))
        .collect();
    (0..count).step_by(BATCH).map(move |start| {
        let mut columns = Columns::new()?;
        for claim in start..(start + BATCH).min(count) {
            columns.push(claim, count, &insured, &mut rng);
        }
        columns.finish()
    })
}

struct Columns {
    claim_id: Int64Builder,
    policy_number: StringBuilder,
    patient_id: StringBuilder,
    provider: StringBuilder,
    region: StringBuilder,
    service_date: Date32Builder,
    icd10: StringBuilder,
    amount: Decimal128Builder,
    paid: Decimal128Builder,
    status: StringDictionaryBuilder<Int32Type>,
    iban: StringBuilder,
    holder_email: StringBuilder,
    fraud_score: Float64Builder,
    legal_hold: BooleanBuilder,
}

impl Columns {
    fn new() -> Result<Self, ArrowError> {
        Ok(Self {
            claim_id: Int64Builder::new(),
            policy_number: StringBuilder::new(),
            patient_id: StringBuilder::new(),
            provider: StringBuilder::new(),
            region: StringBuilder::new(),
            service_date: Date32Builder::new(),
            icd10: StringBuilder::new(),
            amount: Decimal128Builder::new().with_precision_and_scale(12, 2)?,
            paid: Decimal128Builder::new().with_precision_and_scale(12, 2)?,
            status: StringDictionaryBuilder::new(),
            iban: StringBuilder::new(),
            holder_email: StringBuilder::new(),
            fraud_score: Float64Builder::new(),
            legal_hold: BooleanBuilder::new(),
        })
    }

    fn push<R: Rng>(&mut self, claim: usize, count: usize, insured: &[&Person], rng: &mut R) {
        let Some(person) = people::frequent(rng, insured) else {
            return;
        };
        let held = once_in(rng, 150);
        let day = FIRST_DAY + (claim * DAYS / count.max(1)) as i32;
        let code = ICD10.get(skewed(rng, ICD10.len())).copied();
        self.claim_id.append_value(5_000_000 + claim as i64);
        self.policy_number
            .append_value(format!("HB-{:04}-{:05}", day % 10_000, person.number));
        self.patient_id.append_value(person.id());
        self.provider.append_value(weighted(
            rng,
            &[(60, "northgate"), (25, "st-brigid"), (15, "lakeside")],
        ));
        self.region.append_value(person.region);
        self.service_date
            .append_option((!once_in(rng, 100)).then_some(day));
        self.icd10.append_option(code.filter(|_| !once_in(rng, 50)));
        self.legal_hold.append_value(held);
        self.push_money(rng);
        self.push_holder(claim, held, rng);
    }

    fn push_money<R: Rng>(&mut self, rng: &mut R) {
        let cents = (log_normal(rng, 640.0, 1.0) * 100.0) as i128;
        self.amount
            .append_option((!once_in(rng, 50)).then_some(cents));
        let status = weighted(
            rng,
            &[
                (60, "paid"),
                (15, "part-paid"),
                (10, "rejected"),
                (15, "open"),
            ],
        );
        self.paid.append_option(match status {
            "paid" => Some(cents),
            "part-paid" => Some(cents * 7 / 10),
            "rejected" => Some(0),
            _ => None,
        });
        self.status.append_value(status);
        let score: f64 = rng.random();
        self.fraud_score
            .append_option((!once_in(rng, 20)).then_some(score * score * score));
    }

    fn push_holder<R: Rng>(&mut self, claim: usize, held: bool, rng: &mut R) {
        if held {
            self.iban.append_value(format!("{}{claim}", canary::HELD));
            self.holder_email
                .append_value(format!("{}{claim}@example.org", canary::HELD));
            return;
        }
        match rng.random_range(0..50_u32) {
            0 => self.iban.append_null(),
            1 => self.iban.append_value(format!("{}{claim}", canary::IBAN)),
            _ => self
                .iban
                .append_value(format!("SE{:020}", rng.random::<u64>())),
        }
        match rng.random_range(0..50_u32) {
            0 => self.holder_email.append_null(),
            1 => self
                .holder_email
                .append_value(format!("{}{claim}@example.org", canary::EMAIL)),
            _ => self.holder_email.append_value(people::email(rng)),
        }
    }

    fn finish(mut self) -> Result<RecordBatch, ArrowError> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.claim_id.finish()),
            Arc::new(self.policy_number.finish()),
            Arc::new(self.patient_id.finish()),
            Arc::new(self.provider.finish()),
            Arc::new(self.region.finish()),
            Arc::new(self.service_date.finish()),
            Arc::new(self.icd10.finish()),
            Arc::new(self.amount.finish()),
            Arc::new(self.paid.finish()),
            Arc::new(self.status.finish()),
            Arc::new(self.iban.finish()),
            Arc::new(self.holder_email.finish()),
            Arc::new(self.fraud_score.finish()),
            Arc::new(self.legal_hold.finish()),
        ];
        RecordBatch::try_new(schema(), columns)
    }
}
