//! Sizes and durations as people write them.

use std::time::Duration;

/// Bytes of `512MiB`, `2GiB`, `4096`; `None` when it is no size.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// The duration of `500ms`, `30s`, `5m`, `8h`, `2d`; `None` when it is none.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = split(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(number)),
        "s" => 1,
        "m" | "min" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// A duration as people write it.
pub(crate) fn written(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
    ];
    let fits = |(_, unit): &(&str, u128)| millis >= *unit && millis.is_multiple_of(*unit);
    match units.into_iter().find(fits) {
        Some((name, unit)) => format!("{}{name}", millis / unit),
        None => format!("{millis}ms"),
    }
}

fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(bytes("2GiB"), Some(2 << 30));
        assert_eq!(bytes("4 GB"), Some(4_000_000_000));
        assert_eq!(bytes("4096"), Some(4096));
        for wrong in ["", "GiB", "2gib", "-1", "1.5GiB", "99999999999TiB"] {
            assert_eq!(bytes(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("5m"), Some(Duration::from_mins(5)));
        assert_eq!(duration("8h"), Some(Duration::from_hours(8)));
        assert_eq!(duration("250ms"), Some(Duration::from_millis(250)));
        for wrong in ["", "5", "m", "5 minutes", "-5m"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
        for text in ["0ms", "1ms", "1500ms", "30s", "90s", "5m", "36h", "2d"] {
            assert_eq!(written(duration(text).unwrap()), text);
        }
    }
}
