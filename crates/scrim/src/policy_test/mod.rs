//! Policy tests: what a contract means, said by its owner in questions and answers, and run
//! against the real files.
//!
//! A test file lies under `policies/tests/` and ends in `.test.yaml`:
//!
//! ```yaml
//! kind: PolicyTest
//! at: 2026-03-02T10:00:00Z            # when every case happens
//! context: {ip: 10.1.2.3}             # optional: circumstances of every case
//! personas:
//!   ivan:                             # an id of your choice, and the principal's unless it says `id`
//!     org: harbor
//!     groups: [fraud]                 # optional, as are roles, kind and attributes
//!     attributes: {clearance: 2}
//!     context: {hour: 23}             # optional: circumstances of this persona
//! cases:
//!   - name: an insurer sees its own insured only
//!     as: ivan
//!     purpose: fraud-analytics        # optional, as is agreement
//!     context: {ip: 203.0.113.9}      # optional: circumstances of this case
//!     sql: SELECT DISTINCT insurer FROM care.patients
//!     expect:
//!       columns: [insurer]            # names, in order
//!       rows: [[harbor]]              # values, in order; null is NULL
//!       row_count: 1
//!       never_contains: [canary-]     # nowhere in the result, nor in the bytes it would travel as
//!   - name: without clearance there is no such table
//!     as: iris
//!     sql: SELECT 1 FROM care.patients
//!     expect: {refused: name-not-found}
//! ```
//!
//! Circumstances are `ip`, `country`, `device`, `device_trusted`, `hour` or `time`, `risk`,
//! `queries_last_hour`, `rows_last_day`, `client`; a case's beat its persona's, which beat the
//! file's. What is not said is not known, but `queries_last_hour` and `rows_last_day` are 0: each
//! case is its persona's first. `context.network` follows from `ip`.
//!
//! `expect` says at least one thing; all that it says must hold. `refused` names the code of the
//! refusal and stands alone. Rows are compared in order, so a statement that returns several says
//! ORDER BY. Values are compared as the command prints them: `1954-03-17`, `12.50`,
//! `{phone: null, email: a@b.c}`, `[a, b]`.

mod answer;
mod format;
mod run;
mod shapes;

pub use answer::Answer;
pub use format::{Case, Expect, Persona, TestFile};
pub use run::{CaseResult, Summary, find_files, run_file};
pub use shapes::TEST;
