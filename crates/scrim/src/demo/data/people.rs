//! The people that the three tables speak of, drawn once.

use rand::Rng;

use super::pick::{once_in, one, skewed, weighted};

/// One person, as far as several tables must agree on it.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) number: usize,
    pub(super) region: &'static str,
    pub(super) insurer: Option<&'static str>,
    pub(super) ward: &'static str,
    pub(super) held: bool,
}

impl Person {
    /// Northgate's number for the person.
    pub(super) fn id(&self) -> String {
        format!("NG-{:06}", self.number)
    }
}

const REGIONS: [(u32, &str); 5] = [
    (30, "NORTH"),
    (28, "SOUTH"),
    (20, "EAST"),
    (17, "WEST"),
    (5, "ISLANDS"),
];
const INSURERS: [(u32, &str); 4] = [
    (45, "harbor"),
    (25, "summit"),
    (10, "lakeside-mutual"),
    (20, ""),
];
pub(super) const WARDS: [&str; 8] = [
    "Cardiology",
    "Orthopaedics",
    "Paediatrics",
    "Neurology",
    "Oncology",
    "Surgery",
    "Maternité",
    "Dermatology",
];

/// The one patient's ward that the demo looks at.
pub(super) const LIGHTHOUSE: &str = "Lighthouse";
/// The ward of the one patient of study 7 that the demo looks at.
pub(super) const SUNROOM: &str = "Sunroom";

/// Draws `count` people; the first two are planted.
pub(super) fn draw<R: Rng>(rng: &mut R, count: usize) -> Vec<Person> {
    let planted = [LIGHTHOUSE, SUNROOM];
    (0..count)
        .map(|index| {
            let ward = one(rng, &WARDS);
            let region = weighted(rng, &REGIONS);
            let insurer = Some(weighted(rng, &INSURERS)).filter(|name| !name.is_empty());
            let held = once_in(rng, 100);
            match planted.get(index) {
                Some(ward) => Person {
                    number: index + 1,
                    region: "NORTH",
                    insurer: Some("harbor"),
                    ward,
                    held: false,
                },
                None => Person {
                    number: index + 1,
                    region,
                    insurer,
                    ward,
                    held,
                },
            }
        })
        .collect()
}

/// A person for a visit or a claim: some come often, most seldom.
pub(super) fn frequent<'a, R: Rng>(rng: &mut R, people: &[&'a Person]) -> Option<&'a Person> {
    people.get(skewed(rng, people.len())).copied()
}

// Composed and decomposed spellings stand side by side on purpose: `Zoë` and `Zoe` + U+0308 look
// the same and are different bytes.
const FIRST: [&str; 30] = [
    "Zoë",
    "Zoe\u{308}",
    "José",
    "Jose\u{301}",
    "Søren",
    "Łucja",
    "Bjo\u{308}rk",
    "Anna",
    "Mehmet",
    "Aoife",
    "Ἑλένη",
    "Айгуль",
    "محمد",
    "שרה",
    "小明",
    "さくら",
    "지우",
    "Nguyễn",
    "Ramón",
    "Chloé",
    "D\u{2019}Arcy",
    "Fatima",
    "Olu\u{301}wa",
    "Priya",
    "Ján",
    "Li",
    "O",
    "Émile",
    "Siân",
    "Tove",
];
const LAST: [&str; 24] = [
    "Ångström",
    "A\u{30a}ngstro\u{308}m",
    "Okafor",
    "Müller",
    "Mu\u{308}ller",
    "Ó Briain",
    "da Silva",
    "Kowalczyk",
    "Παπαδόπουλος",
    "Иванова",
    "王",
    "田中",
    "Nguyễn",
    "García-Márquez",
    "al-Rashid",
    "van den Berg",
    "Smith",
    "Øvergård",
    "Hernández",
    "Ito",
    "Yıldız",
    "Šimek",
    "Lindqvist",
    "Ng",
];

/// A name as its bearer writes it.
pub(super) fn name<R: Rng>(rng: &mut R) -> (&'static str, &'static str) {
    (one(rng, &FIRST), one(rng, &LAST))
}

/// An address that mail could go to.
pub(super) fn email<R: Rng>(rng: &mut R) -> String {
    const HOSTS: [&str; 6] = [
        "example.org",
        "mail.example.com",
        "Example.NET",
        "post.example.se",
        "correo.example.es",
        "bücher.example",
    ];
    const LOCAL: [&str; 10] = [
        "zoe",
        "jose.silva",
        "søren",
        "a",
        "lucja+bills",
        "m.okafor",
        "tanaka",
        "li",
        "иванова",
        "info",
    ];
    format!(
        "{}{}@{}",
        one(rng, &LOCAL),
        rng.random_range(1..9999),
        one(rng, &HOSTS)
    )
}

/// A phone number.
pub(super) fn phone<R: Rng>(rng: &mut R) -> String {
    const COUNTRY: [&str; 6] = ["+1", "+44", "+49", "+46", "+351", "+81"];
    format!(
        "{} {} {}",
        one(rng, &COUNTRY),
        rng.random_range(100..999),
        rng.random_range(100_000..9_999_999)
    )
}

/// Diagnoses, the frequent ones first.
pub(super) const ICD10: [&str; 40] = [
    "I10", "E11.9", "J06.9", "M54.5", "E78.5", "F32.9", "J45.909", "K21.9", "N39.0", "R51",
    "E66.9", "I25.10", "M17.11", "G43.909", "H52.4", "L40.0", "J18.9", "K58.9", "E03.9", "I48.91",
    "F41.1", "S72.001A", "O80", "Z00.00", "C50.919", "C34.90", "N18.3", "D50.9", "B34.9", "R10.9",
    "T78.40XA", "M79.7", "G40.909", "K50.90", "H40.9", "C61", "F20.9", "A41.9", "Q21.1", "E84.9",
];
/// A diagnosis that one visit only has.
pub(super) const ICD10_PLANTED: &str = "Q99.9";
