//! Who asks and in what circumstances, as the transport knows it.

use std::net::IpAddr;

use scrim_engine::Ask;
use scrim_identity::Session;
use scrim_model::{Code, Context, Refusal, Release, SessionSettings};
use tokio::time::Instant;
use tonic::codegen::http::HeaderMap;

use super::Flight;
use super::headers;
use super::peer::Peer;
use super::sessions::Settings;
use crate::clock;
use crate::wire::Compression;

/// Bytes of a purpose, an agreement's id or another setting.
pub(crate) const SETTING_BYTES_MAX: usize = 256;
/// Characters of what a client calls itself that are kept.
const CLIENT_CHARS_MAX: usize = 200;

/// One authenticated request but its command.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Proof of who asks.
    pub(crate) session: Session,
    /// Where from: the socket's peer. Forwarded addresses are anybody's claim and are not read.
    pub(crate) address: Option<IpAddr>,
    /// What the client calls itself.
    pub(crate) client: Option<String>,
    /// Settings stated in this request's headers.
    pub(crate) stated: SessionSettings,
    /// When the client stops waiting.
    pub(crate) deadline: Option<Instant>,
    /// Into how many parts a result may be cut.
    pub(crate) max_endpoints: Option<u16>,
    /// How a result is compressed.
    pub(crate) compression: Option<Compression>,
}

impl Caller {
    /// Reads a request's head.
    pub(crate) fn new(session: Session, peer: &Peer, headers: &HeaderMap) -> Result<Self, Refusal> {
        let client = headers
            .get("user-agent")
            .and_then(|value| value.to_str().ok());
        Ok(Self {
            session,
            address: peer.ip(),
            client: client.map(|text| text.chars().take(CLIENT_CHARS_MAX).collect()),
            stated: stated(headers)?,
            deadline: clock::deadline(headers)
                .and_then(|timeout| Instant::now().checked_add(timeout)),
            max_endpoints: headers::max_endpoints(headers)?,
            compression: headers::compression(headers)?,
        })
    }

    /// The principal's id.
    pub(crate) fn principal(&self) -> &str {
        &self.session.principal.get().id
    }
}

fn stated(headers: &HeaderMap) -> Result<SessionSettings, Refusal> {
    let text = |name: &str| -> Result<Option<String>, Refusal> {
        let Some(value) = headers.get(name) else {
            return Ok(None);
        };
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            Refusal::new(
                Code::RequestInvalid,
                format!("the header `{name}` is not UTF-8"),
            )
        })?;
        setting_text(name, text)
    };
    let release = text("x-scrim-release")?
        .map(|word| release(&word))
        .transpose()?;
    Ok(SessionSettings {
        purpose: text("x-scrim-purpose")?,
        agreement: text("x-scrim-agreement")?,
        release,
    })
}

/// The value of a setting: bounded, printable; empty means "not set".
pub(crate) fn setting_text(name: &str, text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    if text.len() > SETTING_BYTES_MAX {
        return Err(Refusal::new(
            Code::RequestInvalid,
            format!("`{name}` is longer than {SETTING_BYTES_MAX} bytes"),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Refusal::new(
            Code::RequestInvalid,
            format!("`{name}` holds control characters"),
        ));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A kind of release by its word.
pub(crate) fn release(word: &str) -> Result<Release, Refusal> {
    match word {
        "rows" => Ok(Release::Rows),
        "aggregates" => Ok(Release::Aggregates),
        "private" => Ok(Release::Private),
        _ => Err(Refusal::new(
            Code::RequestInvalid,
            "`scrim.release` is one of rows, aggregates, private",
        )),
    }
}

/// The word for a kind of release.
pub(crate) fn release_word(release: Release) -> &'static str {
    match release {
        Release::Rows => "rows",
        Release::Aggregates => "aggregates",
        Release::Private => "private",
    }
}

impl Flight {
    /// What holds for a request: what its headers state, else what its session was told.
    pub(crate) fn effective(&self, caller: &Caller) -> Settings {
        let mut settings = self.sessions.get(caller.session.id);
        let stated = caller.stated.clone();
        settings.stated.purpose = stated.purpose.or(settings.stated.purpose);
        settings.stated.agreement = stated.agreement.or(settings.stated.agreement);
        settings.stated.release = stated.release.or(settings.stated.release);
        settings.max_endpoints = caller.max_endpoints.or(settings.max_endpoints);
        settings
    }

    /// The standing of a caller under these settings, now.
    pub(crate) fn ask(&self, caller: &Caller, settings: &Settings) -> Ask {
        let context = Context {
            ip: caller.address,
            networks: caller
                .address
                .map(|ip| self.networks.containing(ip))
                .unwrap_or_default(),
            client: caller.client.clone(),
            ..Context::at(self.clock.now())
        };
        Ask {
            principal: caller.session.principal.clone(),
            context,
            settings: settings.stated.clone(),
            session: Some(caller.session.id),
            default_schema: settings.schema.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::codegen::http;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| {
                let value = http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (http::HeaderName::from_static(name), value)
            })
            .collect()
    }

    #[test]
    fn headers_state_settings() {
        let read = stated(&headers(&[
            ("x-scrim-purpose", "Betrugsprüfung"),
            ("x-scrim-release", "rows"),
            ("x-scrim-agreement", ""),
        ]));
        let settings = read.unwrap();
        assert_eq!(settings.purpose.as_deref(), Some("Betrugsprüfung"));
        assert_eq!(settings.release, Some(Release::Rows));
        assert_eq!(settings.agreement, None);
    }

    #[test]
    fn settings_are_bounded() {
        let long = "x".repeat(SETTING_BYTES_MAX + 1);
        assert!(stated(&headers(&[("x-scrim-purpose", &long)])).is_err());
        assert!(stated(&headers(&[("x-scrim-release", "everything")])).is_err());
        assert!(setting_text("p", "a\u{7}b").is_err());
    }
}
