//! The statements that the demo asks, each as three people.

/// One statement with what it is to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub(crate) title: &'static str,
    pub(crate) sql: &'static str,
    /// What to look at, told after the answers.
    pub(crate) remark: &'static str,
}

/// The accounts in whose names the demo asks.
pub(crate) const SHOWN: [&str; 3] = ["nora", "ivan", "rhea"];

/// What is asked, in order.
pub(crate) const SCENES: [Scene; 4] = [
    Scene {
        title: "One patient, as each may see it",
        sql: "SELECT * FROM care.patients WHERE ward = 'Lighthouse'",
        remark: "The same row of the same file. Masks keep the column's type; what is hidden (·) does \
                 not exist, not even for SELECT *.",
    },
    Scene {
        title: "Columns follow the row",
        sql: "SELECT ward, birth_date, zip FROM care.patients \
              WHERE ward IN ('Lighthouse', 'Sunroom') ORDER BY ward",
        remark: "Two agreements match rhea. The patient of the Sunroom is a member of study 7, so that \
                 row alone shows day of birth and whole ZIP code.",
    },
    Scene {
        title: "A join over two owners' tables",
        sql: "SELECT p.region, count(*) AS claims, sum(c.amount) AS amount \
              FROM insurance.claims c JOIN care.patients p ON p.patient_id = c.patient_id \
              GROUP BY p.region ORDER BY p.region",
        remark: "nora sees the claims about her hospital, ivan those about his insured. rhea's tokens \
                 of a person differ from owner to owner, on purpose: nothing joins.",
    },
    Scene {
        title: "Asking for a hidden column by name",
        sql: "SELECT full_name, national_id FROM care.patients WHERE ward = 'Lighthouse'",
        remark: "The same words as for a name that was never there.",
    },
];
