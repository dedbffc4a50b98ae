//! Who asks, and what the agreements give them, written down a second time without the policy
//! language.

use super::cell::Cell;
use super::masks::{Mask, Treat};
use super::tables::Table;

/// A principal of the test world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Persona {
    /// An analyst of acme.
    Ana,
    /// A researcher of beta, who has no agreement for the orders.
    Bob,
    /// An analyst and auditor of acme: two agreements meet on her rows.
    Cyd,
}

/// An agreement's profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    PeoplePartner,
    PeopleAudit,
    PeopleResearch,
    VisitsLookup,
    VisitsResearch,
    OrdersBuyer,
    OrdersLedger,
}

impl Persona {
    pub(crate) const ALL: [Self; 3] = [Self::Ana, Self::Bob, Self::Cyd];

    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Ana => "ana",
            Self::Bob => "bob",
            Self::Cyd => "cyd",
        }
    }

    pub(crate) fn recipient(self) -> &'static str {
        match self {
            Self::Ana | Self::Cyd => "acme",
            Self::Bob => "beta",
        }
    }

    fn home(self) -> &'static str {
        match self {
            Self::Ana => "EU",
            Self::Bob | Self::Cyd => "UK",
        }
    }

    /// The profiles that match, in the order of the agreements' ids.
    pub(crate) fn profiles(self, table: Table) -> &'static [Profile] {
        match (self, table) {
            (Self::Ana, Table::People) => &[Profile::PeoplePartner],
            (Self::Bob, Table::People) => &[Profile::PeopleResearch],
            (Self::Cyd, Table::People) => &[Profile::PeopleAudit, Profile::PeoplePartner],
            (Self::Ana | Self::Cyd, Table::Visits) => &[Profile::VisitsLookup],
            (Self::Bob, Table::Visits) => &[Profile::VisitsResearch],
            (Self::Ana, Table::Orders) => &[Profile::OrdersBuyer],
            (Self::Cyd, Table::Orders) => &[Profile::OrdersBuyer, Profile::OrdersLedger],
            (Self::Bob, Table::Orders) | (_, Table::Vault) => &[],
        }
    }

    /// Whether a profile admits a row, guards included. NULL never does.
    pub(crate) fn admits(self, profile: Profile, row: &[Cell], wards: &[(String, String)]) -> bool {
        let at = |table: Table, name: &str| &row[table.column(name)];
        let people = |name: &str| at(Table::People, name);
        let consent = || *people("consent") == Cell::Bool(true);
        match profile {
            Profile::PeoplePartner => {
                consent()
                    && people("region").as_text() == Some(self.home())
                    && people("kind")
                        .as_text()
                        .is_some_and(|kind| !kind.starts_with('X'))
            }
            Profile::PeopleAudit => {
                consent() && people("extra").as_int().is_some_and(|extra| extra >= 50)
            }
            Profile::PeopleResearch => {
                consent()
                    && matches!(people("region").as_text(), Some("EU" | "UK"))
                    && people("note")
                        .as_text()
                        .is_some_and(|note| note.chars().count() > 20)
            }
            Profile::VisitsLookup => {
                let ward = at(Table::Visits, "ward").as_text();
                ward.is_some_and(|ward| {
                    wards
                        .iter()
                        .any(|(partner, w)| partner == self.recipient() && w == ward)
                })
            }
            // NaN is greater than every number.
            Profile::VisitsResearch => at(Table::Visits, "temp")
                .as_float()
                .is_some_and(|temp| temp >= 36.5 || temp.is_nan()),
            Profile::OrdersBuyer => at(Table::Orders, "status")
                .as_text()
                .is_some_and(|status| status != "void"),
            Profile::OrdersLedger => at(Table::Orders, "qty")
                .as_int()
                .is_some_and(|qty| qty > 10),
        }
    }
}

impl Profile {
    /// What the profile makes of a column.
    pub(crate) fn treat(self, column: &str) -> Treat {
        use Mask as M;
        use Treat::{Clear, Element, ElementField, Field, Hidden, Masked};
        match (self, column) {
            (Self::PeoplePartner, "name") => Masked(M::Partial(1, 0)),
            (Self::PeoplePartner, "score") => Masked(M::Round(10)),
            (Self::PeoplePartner, "balance") => Masked(M::Bucket(100)),
            (Self::PeoplePartner, "born") => Masked(M::Year),
            (Self::PeoplePartner, "contact") => Field(0, M::Partial(0, 2)),
            (Self::PeoplePartner, "tags") => Element(M::Prefix(2)),
            (Self::PeoplePartner, "rank") => Masked(M::Top(5)),
            (Self::PeoplePartner, "email") => Masked(M::Kernel("email")),
            (Self::PeoplePartner, "zip") => Masked(M::Kernel("zip3")),
            (Self::PeoplePartner, "ip") => Masked(M::Kernel("ip_truncate")),
            (
                Self::PeoplePartner,
                "id" | "region" | "code" | "weight" | "seen" | "kind" | "note",
            ) => Clear,
            (Self::PeopleAudit, "code") => Masked(M::ConstantText("0")),
            (Self::PeopleAudit, "weight") => Masked(M::ConstantInt(7)),
            (Self::PeopleAudit, "kind") => Masked(M::Partial(1, 0)),
            (Self::PeopleAudit, "note") => Masked(M::Prefix(5)),
            (
                Self::PeopleAudit,
                "id" | "name" | "score" | "balance" | "born" | "contact" | "rank" | "email",
            ) => Clear,
            (Self::PeopleResearch, "id" | "name") => Masked(M::Kernel("pseudonymize")),
            (Self::PeopleResearch, "code") => Masked(M::Prefix(2)),
            (Self::PeopleResearch, "weight") => Masked(M::Bottom(3)),
            (Self::PeopleResearch, "score") => Masked(M::Null),
            (Self::PeopleResearch, "balance") => Masked(M::Round(50)),
            (Self::PeopleResearch, "born") => Masked(M::Month),
            (Self::PeopleResearch, "seen") => Masked(M::Day),
            (Self::PeopleResearch, "kind") => Masked(M::ConstantText("K")),
            (Self::PeopleResearch, "note") => Masked(M::Digits),
            (Self::PeopleResearch, "contact") => Field(0, M::Null),
            (Self::PeopleResearch, "region" | "tags" | "rank") => Clear,
            (Self::VisitsLookup, "cost") => Masked(M::Round(10)),
            (Self::VisitsLookup, "doctor") => Masked(M::Kernel("pseudonymize")),
            (
                Self::VisitsLookup,
                "vid" | "person" | "ward" | "day" | "minutes" | "text" | "flag" | "temp",
            ) => Clear,
            (Self::VisitsResearch, "person") => Masked(M::Kernel("pseudonymize")),
            (Self::VisitsResearch, "minutes") => Masked(M::Bucket(15)),
            (Self::VisitsResearch, "cost") => Masked(M::Top(500)),
            (Self::VisitsResearch, "vid" | "ward" | "day" | "flag" | "temp") => Clear,
            (Self::OrdersBuyer, "card") => Masked(M::Kernel("pseudonymize")),
            (Self::OrdersBuyer, "items") => ElementField(0, M::Prefix(3)),
            (Self::OrdersBuyer, "oid" | "amount" | "qty" | "status" | "placed" | "person") => Clear,
            (Self::OrdersLedger, "amount") => Masked(M::Round(5)),
            (Self::OrdersLedger, "status") => Masked(M::ConstantText("any")),
            (Self::OrdersLedger, "oid" | "qty" | "card") => Clear,
            _ => Hidden,
        }
    }
}
