//! The accounts that the owner keeps in a file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{BuildHasher, RandomState},
};

use argon2::PasswordHash;
use chrono::{DateTime, Utc};
use scrim_document::{Key, Kind, MapReader, Node, Problems, Shape, SourceFile};
use scrim_model::{Principal, PrincipalKind, Secret, Value, ValueType};
use sha2::{Digest as _, Sha256};

use crate::{
    Authenticated, password,
    redact::{HASH_KEY, redact},
};

/// How long an account's id may be, in bytes.
pub(crate) const ID_BYTES_MAX: usize = 256;

/// What a principal has beside its attributes; an attribute of that name could never be reached.
const BUILT_IN: [&str; 9] = [
    "id",
    "org",
    "groups",
    "roles",
    "kind",
    "acr",
    "auth_age",
    "authenticated_at",
    "on_behalf_of",
];

/// Says which password hash an account had when a session began.
pub(crate) type Mark = [u8; 16];

/// All accounts, by id.
#[derive(Clone)]
pub struct Accounts {
    /// Sorted by id.
    sorted: Vec<Account>,
    /// Chooses which account's hash stands in for that of an unknown one: always the same for the
    /// same name, and not to be foreseen.
    stand_ins: RandomState,
    /// Stands in when there is no account at all.
    nobody: Option<PasswordHash>,
    /// How many runs of Argon2id these accounts have cost.
    #[cfg(test)]
    pub(crate) runs: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

#[derive(Clone)]
struct Account {
    principal: Principal,
    hash: PasswordHash,
    mark: Mark,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Accounts {
    /// Reads an accounts file; `attribute_types` are the declared types of attributes.
    ///
    /// All problems are reported at once, and none of them shows a password hash.
    pub fn parse(
        file: &SourceFile,
        attribute_types: &BTreeMap<String, ValueType>,
    ) -> Result<Self, Problems> {
        let root = Node::parse(file).map_err(|problems| redact(problems, file))?;
        let mut problems = Problems::default();
        let accounts = read_accounts(&root, attribute_types, &mut problems);
        if problems.has_errors() {
            return Err(redact(problems, file));
        }
        let nobody = if accounts.is_empty() { nobody() } else { None };
        Ok(Self {
            sorted: accounts,
            stand_ins: RandomState::new(),
            nobody,
            #[cfg(test)]
            runs: std::sync::Arc::default(),
        })
    }

    /// The account with this id.
    pub fn get(&self, id: &str) -> Option<&Principal> {
        self.find(id).map(|account| &account.principal)
    }

    /// The ids of all accounts, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.sorted
            .iter()
            .map(|account| account.principal.id.as_str())
    }

    /// Vouches for an account without a password, for the owner's own commands (`scrim explain`,
    /// `scrim policy test`): who runs those reads the policies, the keys and the data anyway, and
    /// what they ask never comes from a client. Nothing that a client can reach may call this.
    pub fn vouch(&self, id: &str) -> Option<Authenticated<Principal>> {
        self.get(id).cloned().map(Authenticated::new)
    }

    /// The same, as somebody who signed in at that time.
    pub fn vouch_since(&self, id: &str, since: DateTime<Utc>) -> Option<Authenticated<Principal>> {
        let principal = Principal {
            authenticated_at: Some(since),
            ..self.get(id)?.clone()
        };
        Some(Authenticated::new(principal))
    }

    /// Vouches for a principal as a ledger recorded it, for `scrim policy replay`, under the same
    /// terms: whoever runs it reads the ledger and the data anyway.
    pub fn vouch_as_recorded(principal: Principal) -> Authenticated<Principal> {
        Authenticated::new(principal)
    }

    /// Whether there is such an account and the password is its own.
    ///
    /// An unknown account costs what a known one costs: the password is checked against the hash
    /// of some account, always the same one for the same name, and the answer is thrown away.
    pub(crate) fn check(&self, id: &str, password: &Secret<String>) -> bool {
        let is_right = self.hash_of(id).is_some_and(|hash| {
            #[cfg(test)]
            self.runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            password::verify(password, hash)
        });
        is_right && self.find(id).is_some()
    }

    /// The hash that a password for this account is checked against, whether there is such an
    /// account or not.
    pub(crate) fn hash_of(&self, id: &str) -> Option<&PasswordHash> {
        match self.find(id) {
            Some(account) => Some(&account.hash),
            None => self.stand_in(id),
        }
    }

    /// The account, and what a session must still show to be that of this account.
    pub(crate) fn mark(&self, id: &str) -> Option<(&Principal, Mark)> {
        self.find(id)
            .map(|account| (&account.principal, account.mark))
    }

    fn find(&self, id: &str) -> Option<&Account> {
        let at = self
            .sorted
            .binary_search_by(|account| account.principal.id.as_str().cmp(id));
        at.ok().and_then(|at| self.sorted.get(at))
    }

    fn stand_in(&self, id: &str) -> Option<&PasswordHash> {
        let count = self.sorted.len().max(1) as u64;
        let at = usize::try_from(self.stand_ins.hash_one(id) % count).unwrap_or_default();
        self.sorted
            .get(at)
            .map(|account| &account.hash)
            .or(self.nobody.as_ref())
    }
}

fn nobody() -> Option<PasswordHash> {
    let password = Secret::new("a password that opens nothing".to_owned());
    password::parse(&password::hash_password(&password).ok()?).ok()
}

/// The file of accounts.
static ACCOUNTS: Shape = Shape::closed(
    "accounts",
    "who may sign in",
    &[Key::required(
        "accounts",
        Kind::AnyOf(&[Kind::List(&Kind::Map(&ACCOUNT)), Kind::Null]),
        "the accounts",
    )],
);

/// One account.
static ACCOUNT: Shape = Shape::closed(
    "account",
    "who may sign in with a password",
    &[
        Key::required("id", Kind::Text, "its id"),
        Key::required("org", Kind::Text, "its organisation"),
        Key::optional("groups", Kind::List(&Kind::AnyText), "its groups"),
        Key::optional("roles", Kind::List(&Kind::AnyText), "its roles"),
        Key::optional(
            "kind",
            Kind::Words(|| PrincipalKind::ALL.map(PrincipalKind::as_str).to_vec()),
            "who is behind it",
        )
        .unsaid("human"),
        Key::optional("acr", Kind::Text, "how strongly it signs in"),
        Key::optional("on_behalf_of", Kind::Text, "for whom it acts"),
        Key::optional(
            "attributes",
            Kind::AnyOf(&[Kind::Named(&Kind::Any), Kind::Null]),
            "values of `principal.NAME` in policies",
        ),
        Key::required(HASH_KEY, Kind::Text, "the hash of its password"),
    ],
);

fn read_accounts(
    root: &Node,
    types: &BTreeMap<String, ValueType>,
    problems: &mut Problems,
) -> Vec<Account> {
    let mut accounts = BTreeMap::new();
    if root.is_null() {
        return Vec::new();
    }
    let Some(mut map) = MapReader::new(root, &ACCOUNTS, problems) else {
        return Vec::new();
    };
    let list = map.required("accounts", problems);
    map.finish(problems);
    let Some(list) = list.filter(|list| !list.is_null()) else {
        return Vec::new();
    };
    let mut lines = BTreeMap::new();
    for node in list.list(problems).unwrap_or_default() {
        let Some(account) = read_account(node, types, problems) else {
            continue;
        };
        let id = account.principal.id.clone();
        if let Some(line) = lines.insert(id.clone(), node.location().line) {
            let message = format!("the account `{id}` is there twice: the first is on line {line}");
            problems.push(
                node.error(message)
                    .with_help("give each account an id of its own"),
            );
        }
        accounts.insert(id, account);
    }
    accounts.into_values().collect()
}

fn read_account(
    node: &Node,
    types: &BTreeMap<String, ValueType>,
    problems: &mut Problems,
) -> Option<Account> {
    let mut map = MapReader::new(node, &ACCOUNT, problems)?;
    let id = map.string("id", problems);
    if let (Some(id), Some(node)) = (&id, map.optional("id"))
        && let Err(what) = check_id(id)
    {
        problems.push(node.error(what));
    }
    let org = map.string("org", problems);
    let groups = map.optional_string_list("groups", problems);
    let roles = map.optional_string_list("roles", problems);
    let kind = map
        .optional("kind")
        .map_or(Some(PrincipalKind::default()), |node| {
            let word = node.string(problems)?;
            let kind = kind_from_word(&word);
            if kind.is_none() {
                let problem = node.error(format!("unknown kind `{word}`"));
                problems.push(problem.with_help("use `human`, `service` or `agent`"));
            }
            kind
        });
    let acr = map.optional_string("acr", problems);
    let on_behalf_of = map.optional_string("on_behalf_of", problems);
    let attributes = map.optional("attributes").filter(|node| !node.is_null());
    let attributes = attributes.map(|node| read_attributes(node, types, problems));
    let hash = map
        .required(HASH_KEY, problems)
        .and_then(|node| read_hash(node, problems));
    map.finish(problems);
    let (hash, mark) = hash?;
    let principal = Principal {
        id: id?,
        org: org?,
        groups,
        roles,
        kind: kind?,
        acr,
        authenticated_at: None,
        on_behalf_of,
        attributes: attributes.unwrap_or_default(),
    };
    Some(Account {
        principal,
        hash,
        mark,
    })
}

/// What an id may be: names go over the wire as `id:password`, and into logs.
pub(crate) fn check_id(id: &str) -> Result<(), String> {
    if id.len() > ID_BYTES_MAX {
        return Err(format!("an account's id has at most {ID_BYTES_MAX} bytes"));
    }
    if id.contains(':') || id.chars().any(char::is_control) || id.trim() != id || id.is_empty() {
        return Err(
            "an account's id has no colon, no control character and no space around it".to_owned(),
        );
    }
    Ok(())
}

fn kind_from_word(word: &str) -> Option<PrincipalKind> {
    let mut kinds = PrincipalKind::ALL.into_iter();
    kinds.find(|kind| kind.as_str() == word)
}

fn read_hash(node: &Node, problems: &mut Problems) -> Option<(PasswordHash, Mark)> {
    let text = node.non_empty_string(problems)?;
    match password::parse(&text) {
        Ok(hash) => {
            let digest = Sha256::new_with_prefix(b"scrim/account/v1\0").chain_update(&text);
            let digest = digest.finalize();
            let mut mark = Mark::default();
            mark.iter_mut()
                .zip(digest)
                .for_each(|(to, from)| *to = from);
            Some((hash, mark))
        }
        Err(what) => {
            let help = "make one with `scrim accounts hash --password-stdin`";
            problems.push(node.error(what).with_help(help));
            None
        }
    }
}

fn read_attributes(
    node: &Node,
    types: &BTreeMap<String, ValueType>,
    problems: &mut Problems,
) -> BTreeMap<String, Value> {
    let mut attributes = BTreeMap::new();
    for entry in node.map(problems).unwrap_or_default() {
        let name = &*entry.name;
        let Some(declared) = types.get(name) else {
            let problem = entry
                .key
                .error(format!("the attribute `{name}` is not declared"));
            problems.push(
                problem.with_help(
                    match scrim_document::nearest(name, types.keys().map(String::as_str)) {
                        Some(near) => format!("did you mean `{near}`?"),
                        None => "declare its type under `identity.attributes` in the configuration"
                            .to_owned(),
                    },
                ),
            );
            continue;
        };
        if BUILT_IN.contains(&name) {
            let problem = entry
                .key
                .error(format!("`{name}` is no attribute: every principal has it"));
            problems.push(problem.with_help("give the attribute another name"));
            continue;
        }
        if let Some(value) = read_value(&entry.value, *declared, problems) {
            attributes.insert(name.to_owned(), value);
        }
    }
    attributes
}

fn read_value(node: &Node, declared: ValueType, problems: &mut Problems) -> Option<Value> {
    Some(match declared {
        ValueType::Bool => Value::Bool(node.bool(problems)?),
        ValueType::Int64 => Value::Int64(node.i64(problems)?),
        ValueType::Float64 => {
            let value = node.f64(problems)?;
            if !value.is_finite() {
                problems.push(node.error("expected a number, found one that is not finite"));
                return None;
            }
            Value::Float64(value)
        }
        ValueType::Timestamp => {
            let text = node.string(problems)?;
            let Ok(instant) = DateTime::parse_from_rfc3339(&text) else {
                let problem = node.error("expected an instant, found other text");
                problems.push(problem.with_help("write it like 2026-01-31T12:00:00Z"));
                return None;
            };
            Value::Timestamp(instant.to_utc())
        }
        ValueType::Text => Value::Text(node.string(problems)?),
        ValueType::TextList => Value::TextList(node.string_list(problems)?),
    })
}

/// The ids that two sets of accounts do not have in common, or have with different principals.
pub(crate) fn differences(a: &Accounts, b: &Accounts) -> BTreeSet<String> {
    let ids: BTreeSet<_> = a.ids().chain(b.ids()).collect();
    ids.into_iter()
        .filter(|id| a.mark(id) != b.mark(id))
        .map(str::to_owned)
        .collect()
}
