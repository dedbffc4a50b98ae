//! What a client may set: for its session, as an option or with `SET`, or for one request, as a
//! header. Each setting is read in one place, whatever way it comes.

use scrim_engine::TimeZone;
use scrim_model::{CATALOG, Code, Refusal, Release, SessionSettings};
use tonic::codegen::http::HeaderMap;

use super::options::OptionValue;
use crate::wire::WireTypes;

/// Bytes of a setting's value.
const VALUE_BYTES_MAX: usize = 256;
/// Endpoints that one result may have.
const ENDPOINTS_MAX: u16 = 64;

/// What holds for a request. What is not set has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What narrows decisions.
    pub(crate) stated: SessionSettings,
    /// The schema for bare names.
    pub(crate) schema: Option<String>,
    /// The zone in which statements speak of time.
    pub(crate) time_zone: Option<TimeZone>,
    /// Whether results keep Arrow's own types.
    pub(crate) native_types: Option<bool>,
    /// Endpoints that a result may have, from 1 to 64.
    pub(crate) max_endpoints: Option<u16>,
}

impl Settings {
    /// These, and others for what is not set here.
    #[must_use]
    pub(crate) fn or(self, others: Self) -> Self {
        let (stated, other) = (self.stated, others.stated);
        Self {
            stated: SessionSettings {
                purpose: stated.purpose.or(other.purpose),
                agreement: stated.agreement.or(other.agreement),
                release: stated.release.or(other.release),
            },
            schema: self.schema.or(others.schema),
            time_zone: self.time_zone.or(others.time_zone),
            native_types: self.native_types.or(others.native_types),
            max_endpoints: self.max_endpoints.or(others.max_endpoints),
        }
    }

    /// The types in which results leave.
    pub(crate) fn types(&self) -> WireTypes {
        match self.native_types {
            Some(true) => WireTypes::Native,
            Some(false) | None => WireTypes::Plain,
        }
    }

    /// What a request's headers set.
    ///
    /// # Errors
    /// When a value is none of its setting. Headers that are no setting are somebody else's: JDBC
    /// sends every property of its URL.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Result<Self, Refusal> {
        let mut settings = Self::default();
        for setting in Setting::ALL {
            // Ours last, so that it wins over what a driver sends by itself.
            for name in setting.headers() {
                let Some(value) = headers.get(*name) else {
                    continue;
                };
                let text = std::str::from_utf8(value.as_bytes())
                    .map_err(|_| invalid(format!("the header `{name}` is not UTF-8")))?;
                if !text.trim().is_empty() {
                    setting.read(&mut settings, Some(text))?;
                }
            }
        }
        Ok(settings)
    }
}

/// A setting by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Setting {
    /// There is one catalog; to choose it is fine.
    Catalog,
    /// `schema`
    Schema,
    /// `time_zone`
    TimeZone,
    /// `native_types`
    NativeTypes,
    /// `max_endpoints`
    MaxEndpoints,
    /// `scrim.purpose`
    Purpose,
    /// `scrim.agreement`
    Agreement,
    /// `scrim.release`
    Release,
}

impl Setting {
    /// All settings.
    pub(crate) const ALL: [Self; 8] = [
        Self::Catalog,
        Self::Schema,
        Self::TimeZone,
        Self::NativeTypes,
        Self::MaxEndpoints,
        Self::Purpose,
        Self::Agreement,
        Self::Release,
    ];

    /// Its name as an option and in `SET`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Schema => "schema",
            Self::TimeZone => "time_zone",
            Self::NativeTypes => "native_types",
            Self::MaxEndpoints => "max_endpoints",
            Self::Purpose => "scrim.purpose",
            Self::Agreement => "scrim.agreement",
            Self::Release => "scrim.release",
        }
    }

    /// The headers that set it for one request; a later one wins.
    fn headers(self) -> &'static [&'static str] {
        match self {
            Self::Catalog => &["catalog"],
            Self::Schema => &["schema", "x-scrim-schema"],
            Self::TimeZone => &["x-scrim-time-zone"],
            Self::NativeTypes => &["x-native-types"],
            Self::MaxEndpoints => &["x-max-endpoints"],
            Self::Purpose => &["x-scrim-purpose"],
            Self::Agreement => &["x-scrim-agreement"],
            Self::Release => &["x-scrim-release"],
        }
    }

    /// The setting of that name, in any case.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|setting| setting.name().eq_ignore_ascii_case(name))
    }

    /// Puts a value in, or takes it out.
    ///
    /// # Errors
    /// When the value is none of this setting.
    pub(crate) fn read(self, settings: &mut Settings, value: Option<&str>) -> Result<(), Refusal> {
        let text = value.map_or(Ok(None), |value| setting_text(self.name(), value))?;
        let stated = &mut settings.stated;
        match self {
            Self::Catalog => catalog(text.as_deref())?,
            Self::Schema => settings.schema = text,
            Self::TimeZone => {
                settings.time_zone = text.map(|text| TimeZone::parse(&text)).transpose()?;
            }
            Self::NativeTypes => settings.native_types = text.map(|t| flag(&t)).transpose()?,
            Self::MaxEndpoints => {
                settings.max_endpoints = text.map(|text| endpoints(&text)).transpose()?;
            }
            Self::Purpose => stated.purpose = text,
            Self::Agreement => stated.agreement = text,
            Self::Release => stated.release = text.map(|word| release(&word)).transpose()?,
        }
        Ok(())
    }

    /// The text of an option's value; `None` when it is of a form that this setting has not.
    #[expect(clippy::option_option, reason = "no value and the wrong value differ")]
    pub(crate) fn text_of(self, value: Option<OptionValue>) -> Option<Option<String>> {
        match (self, value) {
            (_, None) => Some(None),
            (_, Some(OptionValue::Text(text))) => Some(Some(text)),
            (Self::NativeTypes, Some(OptionValue::Bool(flag))) => Some(Some(flag.to_string())),
            (Self::MaxEndpoints, Some(OptionValue::Int64(count))) => Some(Some(count.to_string())),
            (
                _,
                Some(
                    OptionValue::Bool(_)
                    | OptionValue::Int64(_)
                    | OptionValue::Double(_)
                    | OptionValue::TextList(_),
                ),
            ) => None,
        }
    }

    /// Its value, if it is set.
    pub(crate) fn value(self, settings: &Settings) -> Option<OptionValue> {
        let stated = &settings.stated;
        let text = |text: Option<&str>| text.map(|text| OptionValue::Text(text.to_owned()));
        match self {
            Self::Catalog => text(Some(CATALOG)),
            Self::Schema => text(settings.schema.as_deref()),
            Self::TimeZone => text(settings.time_zone.as_ref().map(TimeZone::as_str)),
            Self::NativeTypes => settings.native_types.map(OptionValue::Bool),
            Self::MaxEndpoints => settings
                .max_endpoints
                .map(|count| OptionValue::Int64(i64::from(count))),
            Self::Purpose => text(stated.purpose.as_deref()),
            Self::Agreement => text(stated.agreement.as_deref()),
            Self::Release => text(stated.release.map(release_word)),
        }
    }
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::RequestInvalid, message)
}

fn catalog(name: Option<&str>) -> Result<(), Refusal> {
    if name.is_none_or(|name| name == CATALOG) {
        return Ok(());
    }
    Err(invalid(format!(
        "the only catalog is `{CATALOG}`; leave it out, and choose a schema with \
         `schema`"
    )))
}

fn flag(word: &str) -> Result<bool, Refusal> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(invalid("`native_types` is true or false")),
    }
}

fn endpoints(count: &str) -> Result<u16, Refusal> {
    let read = count.parse().ok();
    read.filter(|count| (1..=ENDPOINTS_MAX).contains(count))
        .ok_or_else(|| invalid(format!("`max_endpoints` is from 1 to {ENDPOINTS_MAX}")))
}

/// The value of a setting: bounded, printable; empty means "not set".
fn setting_text(name: &str, text: &str) -> Result<Option<String>, Refusal> {
    let text = text.trim();
    if text.len() > VALUE_BYTES_MAX {
        return Err(invalid(format!(
            "`{name}` is longer than {VALUE_BYTES_MAX} bytes"
        )));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(format!("`{name}` holds control characters")));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// A kind of release by its word.
pub(crate) fn release(word: &str) -> Result<Release, Refusal> {
    match word {
        "rows" => Ok(Release::Rows),
        "aggregates" => Ok(Release::Aggregates),
        "private" => Ok(Release::Private),
        _ => Err(invalid(
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

#[cfg(test)]
mod tests {
    use tonic::codegen::http::{HeaderName, HeaderValue};

    use super::*;

    fn of_headers(pairs: &[(&'static str, &str)]) -> Result<Settings, Refusal> {
        let headers = pairs
            .iter()
            .map(|(name, value)| {
                let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
                (HeaderName::from_static(name), value)
            })
            .collect();
        Settings::of_headers(&headers)
    }

    #[test]
    fn headers_state_settings() {
        let settings = of_headers(&[
            ("x-scrim-purpose", "Betrugsprüfung"),
            ("x-scrim-release", "rows"),
            ("x-scrim-agreement", ""),
            ("schema", "care"),
            ("x-scrim-schema", "insurance"),
            ("x-scrim-time-zone", "Europe/Berlin"),
            ("x-native-types", "True"),
            ("x-max-endpoints", "8"),
            ("catalog", CATALOG),
            ("useserverprepstmts", "false"),
        ])
        .unwrap();
        assert_eq!(settings.stated.purpose.as_deref(), Some("Betrugsprüfung"));
        assert_eq!(settings.stated.release, Some(Release::Rows));
        assert_eq!(settings.stated.agreement, None);
        assert_eq!(settings.schema.as_deref(), Some("insurance"));
        assert_eq!(settings.time_zone, TimeZone::parse("Europe/Berlin").ok());
        assert_eq!(settings.types(), WireTypes::Native);
        assert_eq!(settings.max_endpoints, Some(8));
    }

    #[test]
    fn inv_14_settings_are_bounded() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        for (name, value) in [
            ("x-scrim-purpose", long.as_str()),
            ("x-scrim-release", "everything"),
            ("x-scrim-time-zone", "Mars/Olympus"),
            ("x-native-types", "perhaps"),
            ("x-max-endpoints", "0"),
            ("x-max-endpoints", "65"),
            ("x-max-endpoints", "-1"),
            ("catalog", "other"),
        ] {
            let refusal = of_headers(&[(name, value)]).unwrap_err();
            assert_eq!(refusal.code(), Code::RequestInvalid, "{name}: {value}");
        }
        assert!(setting_text("p", "a\u{7}b").is_err());
    }

    #[test]
    fn what_a_request_states_wins_over_its_session() {
        let session = Settings {
            native_types: Some(true),
            schema: Some("care".to_owned()),
            ..Settings::default()
        };
        let request = Settings {
            native_types: Some(false),
            ..Settings::default()
        };
        let both = request.or(session);
        assert_eq!(both.types(), WireTypes::Plain);
        assert_eq!(both.schema.as_deref(), Some("care"));
    }

    #[test]
    fn every_setting_reads_its_own_value_again() {
        for (setting, value) in [
            (Setting::Schema, OptionValue::Text("care".into())),
            (Setting::TimeZone, OptionValue::Text("+02:00".into())),
            (Setting::NativeTypes, OptionValue::Bool(true)),
            (Setting::MaxEndpoints, OptionValue::Int64(4)),
            (Setting::Purpose, OptionValue::Text("research".into())),
            (Setting::Agreement, OptionValue::Text("a".into())),
            (Setting::Release, OptionValue::Text("rows".into())),
        ] {
            let mut settings = Settings::default();
            let text = setting.text_of(Some(value.clone())).unwrap();
            setting.read(&mut settings, text.as_deref()).unwrap();
            assert_eq!(setting.value(&settings), Some(value), "{setting:?}");
            setting.read(&mut settings, None).unwrap();
            assert_eq!(setting.value(&settings), None, "{setting:?}");
            assert_eq!(Setting::from_name(setting.name()), Some(setting));
        }
        assert!(
            Setting::Purpose
                .text_of(Some(OptionValue::Bool(true)))
                .is_none()
        );
        assert!(
            Setting::NativeTypes
                .text_of(Some(OptionValue::Int64(1)))
                .is_none()
        );
    }
}
