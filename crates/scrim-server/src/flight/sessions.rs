//! What clients set for their sessions, and the statement that sets it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, Utc};
use scrim_model::{Code, Refusal, SessionId, SessionSettings};

use super::context::{release, setting_text};

/// Sessions whose settings are remembered at once.
const SESSIONS_MAX: usize = 10_000;

/// What holds in a session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What narrows decisions.
    pub(crate) stated: SessionSettings,
    /// The schema for bare names.
    pub(crate) schema: Option<String>,
    /// Into how many parts a result may be cut.
    pub(crate) max_endpoints: Option<u16>,
}

/// A setting by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// `scrim.purpose`
    Purpose,
    /// `scrim.agreement`
    Agreement,
    /// `scrim.release`
    Release,
}

impl Setting {
    /// The setting of that name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "scrim.purpose" => Self::Purpose,
            "scrim.agreement" => Self::Agreement,
            "scrim.release" => Self::Release,
            _ => return None,
        })
    }

    /// Puts a value in, or takes it out.
    pub(crate) fn apply(self, settings: &mut Settings, value: Option<&str>) -> Result<(), Refusal> {
        let stated = &mut settings.stated;
        match self {
            Self::Purpose => stated.purpose = text("scrim.purpose", value)?,
            Self::Agreement => stated.agreement = text("scrim.agreement", value)?,
            Self::Release => {
                stated.release = text("scrim.release", value)?
                    .map(|word| release(&word))
                    .transpose()?;
            }
        }
        Ok(())
    }
}

fn text(name: &str, value: Option<&str>) -> Result<Option<String>, Refusal> {
    value.map_or(Ok(None), |value| setting_text(name, value))
}

/// The settings of live sessions: bounded, and forgotten when the session ends.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    map: Mutex<BTreeMap<SessionId, (Settings, DateTime<Utc>)>>,
}

impl Sessions {
    /// What a session set; nothing if it set nothing.
    pub(crate) fn get(&self, id: SessionId) -> Settings {
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        map.get(&id)
            .map(|(settings, _)| settings.clone())
            .unwrap_or_default()
    }

    /// Remembers what a session set until it ends.
    pub(crate) fn set(
        &self,
        id: SessionId,
        settings: Settings,
        expires: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), Refusal> {
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        if settings == Settings::default() {
            map.remove(&id);
            return Ok(());
        }
        if map.len() >= SESSIONS_MAX && !map.contains_key(&id) {
            map.retain(|_, (_, expires)| *expires > now);
            if map.len() >= SESSIONS_MAX {
                return Err(Refusal::new(
                    Code::ConcurrencyLimit,
                    "too many sessions have settings; state them as headers instead",
                ));
            }
        }
        map.insert(id, (settings, expires));
        Ok(())
    }

    /// Forgets a session.
    pub(crate) fn close(&self, id: SessionId) {
        self.map
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id);
    }
}

/// What `SET scrim.<name> = <value>` sets; `None` when the statement is anything else.
///
/// Strict on purpose: this is the one statement that does not reach the engine's parser.
pub(crate) fn set_statement(sql: &str) -> Option<Result<(Setting, Option<String>), Refusal>> {
    let rest = sql
        .trim()
        .strip_suffix(';')
        .unwrap_or(sql.trim())
        .trim_end();
    let rest = strip_word(rest, "set")?;
    let end = rest
        .find(|c: char| c == '=' || c.is_whitespace())
        .unwrap_or(rest.len());
    let (name, rest) = rest.split_at_checked(end)?;
    if !name.to_ascii_lowercase().starts_with("scrim.") {
        return None;
    }
    Some(assignment(name, rest.trim_start()))
}

fn assignment(name: &str, rest: &str) -> Result<(Setting, Option<String>), Refusal> {
    let setting = Setting::from_name(name).ok_or_else(|| {
        Refusal::new(
            Code::RequestInvalid,
            "no such setting; there are scrim.purpose, scrim.agreement and scrim.release",
        )
    })?;
    let value = rest
        .strip_prefix('=')
        .or_else(|| strip_word(rest, "to"))
        .and_then(|value| literal(value.trim()))
        .ok_or_else(|| {
            let help = format!("write SET {} = 'value'", name.to_ascii_lowercase());
            Refusal::new(Code::SqlSyntax, help)
        })?;
    Ok((setting, value))
}

/// What follows a word and white space.
fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    let separated = rest.starts_with(char::is_whitespace);
    (head.eq_ignore_ascii_case(word) && separated).then(|| rest.trim_start())
}

/// A quoted text, a bare word, or `DEFAULT` and `NULL` for none.
#[expect(
    clippy::option_option,
    reason = "no literal and the literal for nothing differ"
)]
fn literal(text: &str) -> Option<Option<String>> {
    if let Some(inner) = text.strip_prefix('\'') {
        let inner = inner
            .strip_suffix('\'')
            .filter(|inner| !inner.contains('\u{0}'))?;
        let unescaped = inner.replace("''", "\u{0}");
        if unescaped.contains('\'') {
            return None;
        }
        return Some(Some(unescaped.replace('\u{0}', "'")));
    }
    if text.eq_ignore_ascii_case("default") || text.eq_ignore_ascii_case("null") {
        return Some(None);
    }
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (!text.is_empty() && text.chars().all(bare)).then(|| Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn set(sql: &str) -> Option<(Setting, Option<String>)> {
        set_statement(sql).map(|set| set.unwrap())
    }

    #[test]
    fn the_statement_that_sets() {
        let fraud = Some("fraud-review".to_owned());
        for sql in [
            "SET scrim.purpose = 'fraud-review'",
            " set  Scrim.Purpose='fraud-review' ; ",
            "SET scrim.purpose TO 'fraud-review'",
            "SET scrim.purpose = fraud-review",
        ] {
            assert_eq!(set(sql), Some((Setting::Purpose, fraud.clone())), "{sql}");
        }
        assert_eq!(
            set("SET scrim.agreement = 'it''s'"),
            Some((Setting::Agreement, Some("it's".into())))
        );
        assert_eq!(
            set("SET scrim.release = DEFAULT"),
            Some((Setting::Release, None))
        );
    }

    #[test]
    fn everything_else_goes_to_the_engine_or_is_refused() {
        for sql in [
            "SELECT 1",
            "SET datafusion.execution.batch_size = 1",
            "SETscrim.purpose = 'x'",
            "",
            "SET",
        ] {
            assert!(set_statement(sql).is_none(), "{sql}");
        }
        for sql in [
            "SET scrim.purpose",
            "SET scrim.purpose = ",
            "SET scrim.purpose = 'a' SELECT 1",
            "SET scrim.purpose = 'a', 'b'",
            "SET scrim.purpose = 'a'; DROP TABLE x",
            "SET scrim.purpose = 'a' || 'b'",
            "SET scrim.admin = true",
        ] {
            assert!(set_statement(sql).unwrap().is_err(), "{sql}");
        }
    }

    #[test]
    fn inv_14_settings_are_bounded_and_forgotten() {
        let sessions = Sessions::default();
        let now = DateTime::<Utc>::UNIX_EPOCH;
        let later = now + TimeDelta::seconds(10);
        let settings = Settings {
            schema: Some("s".into()),
            ..Settings::default()
        };
        for _ in 0..SESSIONS_MAX {
            sessions
                .set(SessionId::new(), settings.clone(), later, now)
                .unwrap();
        }
        let one = SessionId::new();
        assert!(sessions.set(one, settings.clone(), later, now).is_err());
        sessions.set(one, settings.clone(), later, later).unwrap();
        assert_eq!(sessions.map.lock().unwrap().len(), 1);
        sessions.close(one);
        assert_eq!(sessions.get(one), Settings::default());
    }
}
