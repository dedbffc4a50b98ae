//! Addresses of places, taken apart as far as is needed to tell a mistake.

/// What is wrong with an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is none, or not of the kind that is needed here.
    Form,
    /// Credentials stand in it.
    Credentials,
    /// It has a query, which may be a signature.
    Query,
}

/// The scheme of an address, if it is one.
pub(super) fn scheme(address: &str) -> Option<&str> {
    address.split_once("://").map(|(scheme, _)| scheme)
}

/// Whether an address has one of these schemes, names something, and holds no credentials.
pub(super) fn check(address: &str, schemes: &[&str]) -> Result<(), Wrong> {
    let (scheme, rest) = address.split_once("://").ok_or(Wrong::Form)?;
    if !schemes.contains(&scheme) {
        return Err(Wrong::Form);
    }
    let host = rest.split('/').next().unwrap_or_default();
    // In Azure's addresses the container stands before the account.
    let container = |before: &str| scheme.starts_with("ab") || scheme == "az" && !before.is_empty();
    if let Some((before, _)) = host.rsplit_once('@')
        && (before.contains(':') || !container(before))
    {
        return Err(Wrong::Credentials);
    }
    // Elsewhere a question mark is part of a pattern.
    if scheme.starts_with("http") && rest.contains('?') {
        return Err(Wrong::Query);
    }
    let named = !host.is_empty() && !host.starts_with(['?', ':', '@']);
    named.then_some(()).ok_or(Wrong::Form)
}

/// An address in Azure with the container before the account; the standard's examples have it
/// after the account's host.
pub(super) fn azure(address: &str) -> String {
    let parts = address.split_once("://").and_then(|(scheme, rest)| {
        let (host, path) = rest.split_once('/')?;
        let (container, path) = path.split_once('/').unwrap_or((path, ""));
        let after = host.contains('.') && !host.contains('@') && !container.is_empty();
        after.then(|| format!("{scheme}://{container}@{host}/{path}"))
    });
    parts.unwrap_or_else(|| address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_something_and_holds_no_credentials() {
        let s3 = |address| check(address, &["s3"]);
        assert_eq!(s3("s3://bucket/a/*.parquet"), Ok(()));
        assert_eq!(s3("s3://bucket"), Ok(()));
        assert_eq!(s3("s3://bucket/a?.parquet"), Ok(()));
        for wrong in [
            "",
            "bucket/a",
            "s3:/bucket",
            "s3://",
            "s3:///a",
            "S3://bucket",
            "gs://bucket",
        ] {
            assert_eq!(s3(wrong), Err(Wrong::Form), "{wrong}");
        }
        for wrong in ["s3://key:secret@bucket/a", "s3://key@bucket"] {
            assert_eq!(s3(wrong), Err(Wrong::Credentials), "{wrong}");
        }
        let web = |address| check(address, &["https", "http"]);
        assert_eq!(web("https://host:8443/a/b.csv"), Ok(()));
        assert_eq!(web("https://host/a@b.csv"), Ok(()));
        assert_eq!(web("https://me@host/b.csv"), Err(Wrong::Credentials));
        assert_eq!(web("https://host/b.csv?sig=1"), Err(Wrong::Query));
        let azure = |address| check(address, &["abfss", "az"]);
        assert_eq!(azure("abfss://box@account.dfs.core.windows.net/a"), Ok(()));
        assert_eq!(
            azure("abfss://box:x@account.dfs.core.windows.net/a"),
            Err(Wrong::Credentials)
        );
        assert_eq!(azure("az://box/a"), Ok(()));
        assert_eq!(azure("az://@box/a"), Err(Wrong::Credentials));
    }

    #[test]
    fn the_standards_form_of_an_address_in_azure_is_understood() {
        for (written, read) in [
            (
                "az://acc.blob.core.windows.net/box/a/*.csv",
                "az://box@acc.blob.core.windows.net/a/*.csv",
            ),
            (
                "abfss://acc.dfs.core.windows.net/box",
                "abfss://box@acc.dfs.core.windows.net/",
            ),
            (
                "abfss://box@acc.dfs.core.windows.net/a",
                "abfss://box@acc.dfs.core.windows.net/a",
            ),
            ("az://box/a/b", "az://box/a/b"),
            ("az://box", "az://box"),
        ] {
            assert_eq!(azure(written), read);
        }
    }
}
