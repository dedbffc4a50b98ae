//! Regular expressions over shown values, by Arrow's own kernel.

use arrow::array::StringArray;
use arrow::compute::regexp_is_match_scalar;

/// A regular expression that is known to be one.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(String);

impl Pattern {
    /// Checks a regular expression.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let none = StringArray::from(vec![""]);
        match regexp_is_match_scalar(&none, text, None) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The text of it.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The first value that it does not match; NULL is no value.
    ///
    /// # Errors
    /// When it cannot be held against the values.
    pub(super) fn misfit<'a>(
        &self,
        values: &'a [Option<String>],
    ) -> Result<Option<&'a str>, String> {
        let texts: StringArray = values.iter().map(Option::as_deref).collect();
        let matched = regexp_is_match_scalar(&texts, &self.0, None);
        let matched = matched.map_err(|error| error.to_string())?;
        let mut pairs = values.iter().zip(matched.iter());
        let misfit =
            pairs.find_map(|(value, matches)| value.as_deref().filter(|_| matches != Some(true)));
        Ok(misfit)
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn the_first_value_that_does_not_match_is_found() {
        let pattern = Pattern::new("^[0-9]{3}$").unwrap();
        let values = ["021", "", "100"].map(|v| Some(v.to_owned()).filter(|v| !v.is_empty()));
        assert_eq!(pattern.misfit(&values), Ok(None));
        let values = ["021", "02139"].map(|v| Some(v.to_owned()));
        assert_eq!(pattern.misfit(&values), Ok(Some("02139")));
        assert!(Pattern::new("(").is_err());
    }
}
