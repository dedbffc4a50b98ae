//! Values that stand in the names of folders: `year=2024/region=EU%20west`.

/// The name that stands for no value.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The columns and values in the names of a path's folders.
pub(super) fn partition(folders: &[&str]) -> Result<Vec<(String, Option<String>)>, String> {
    let mut values: Vec<(String, Option<String>)> = Vec::new();
    for folder in folders {
        let Some((column, value)) = folder.split_once('=').filter(|(c, _)| !c.is_empty()) else {
            continue;
        };
        let unreadable = || format!("the folder `{folder}` is not UTF-8");
        let column = percent_decoded(column).ok_or_else(unreadable)?;
        let value = percent_decoded(value).ok_or_else(unreadable)?;
        if values.iter().any(|(seen, _)| *seen == column) {
            return Err(format!("two folders of the path give `{column}`"));
        }
        values.push((column, (value != NULL).then_some(value)));
    }
    Ok(values)
}

/// The text with `%20` and the like decoded; none if that is no UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.split_at_checked(2).filter(|_| *first == b'%');
        let decoded = digits.and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok()?;
            // A sign would be accepted as part of a number.
            let hexadecimal = digits.chars().all(|c| c.is_ascii_hexdigit());
            let byte = u8::from_str_radix(digits, 16).ok()?;
            hexadecimal.then_some((byte, after))
        });
        let (byte, after) = decoded.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_give_columns_and_values() {
        let path = [
            "x",
            "year=2024",
            "a%3Db=c=d%20e",
            "n=__HIVE_DEFAULT_PARTITION__",
            "=z",
            "e=",
        ];
        let expected = [
            ("year", Some("2024")),
            ("a=b", Some("c=d e")),
            ("n", None),
            ("e", Some("")),
        ]
        .map(|(column, value)| (column.to_owned(), value.map(str::to_owned)));
        assert_eq!(partition(&path).unwrap(), expected);
        assert!(partition(&["a=1", "a=2"]).is_err());
        assert!(partition(&["a=%ff"]).is_err());
    }

    #[test]
    fn only_percent_and_two_digits_are_decoded() {
        for (text, expected) in [
            ("a%20b", "a b"),
            ("%C3%A9", "é"),
            ("100%", "100%"),
            ("%2", "%2"),
            ("%+1", "%+1"),
            ("%zz", "%zz"),
            ("%é", "%é"),
        ] {
            assert_eq!(percent_decoded(text).as_deref(), Some(expected), "{text}");
        }
    }
}
