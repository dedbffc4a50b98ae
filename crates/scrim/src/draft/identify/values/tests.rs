use super::*;

fn kind(values: &[&str]) -> Option<Kind> {
    by_text(values).map(|(kind, ..)| kind)
}

/// The same value often enough to count.
fn kind_of(value: &str) -> Option<Kind> {
    kind(&[value; 5])
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table of values")]
fn values_that_identify() {
    for (expected, values) in [
        (
            Kind::Email,
            &[
                "anna@example.org",
                "a.b+c@mail.example.co.uk",
                "jürgen@exämple.de",
                "x@y.xn--p1ai",
            ][..],
        ),
        (
            Kind::BankAccount,
            &[
                "DE89370400440532013000",
                "GB82 WEST 1234 5698 7654 32",
                "NL91ABNA0417164300",
            ],
        ),
        (
            Kind::Card,
            &[
                "4111111111111111",
                "5500 0000 0000 0004",
                "3400-000000-00009",
                "6011000000000004",
            ],
        ),
        (
            Kind::Ip,
            &[
                "192.168.0.1",
                "10.0.0.0/8",
                "2001:db8::1",
                "::ffff:10.1.2.3",
                "255.255.255.255",
            ],
        ),
        (Kind::Device, &["00:1B:44:11:3A:B7", "00-1b-44-11-3a-b7"]),
        (
            Kind::Unique,
            &[
                "123e4567-e89b-12d3-a456-426614174000",
                "123E4567-E89B-12D3-A456-426614174000",
            ],
        ),
        (
            Kind::Phone,
            &[
                "+49 30 901820",
                "+1-202-555-0123",
                "(202) 555-0123",
                "202-555-0123",
                "030 90182 000",
                "0170/1234567",
            ],
        ),
        (
            Kind::NationalId,
            &[
                "078-05-1120",
                "AB123456C",
                "AB 12 34 56 C",
                "12345678Z",
                "X1234567L",
                "RSSMRA85T10A562S",
                "811218-9876",
                "255081416802538",
                "529.982.247-25",
                "529982247-25",
                "44051401359",
            ],
        ),
        (
            Kind::Coordinates,
            &["52.5200, 13.4050", "-33.8688,151.2093", "POINT(13.4 52.5)"],
        ),
        (Kind::Document, &[r#"{"a": 1}"#, "[1, 2]", "{}"]),
        (
            Kind::FreeText,
            &[
                "the patient came in with a cough",
                "Ich habe heute Nacht schlecht geschlafen.",
            ],
        ),
    ] {
        for value in values {
            // the one way of writing that is not known
            let expected = (*value != "529.982.247-25").then_some(expected);
            assert_eq!(kind_of(value), expected, "{value}");
        }
    }
}

#[test]
fn values_of_other_things() {
    for value in [
        "",
        "anna",
        "@anna",
        "anna@localhost",
        "a b@example.org",
        "DE89370400440532013001",
        "DE8937",
        "4111111111111112",
        "1234567890123456789012",
        "1.2.3",
        "1.2.3.4.5",
        "999.1.1.1",
        "12:30:00",
        "2024-01-31",
        "31.01.2024",
        "2024-01-31 10:00:00",
        "20240131",
        "1234567",
        "1234567.89",
        "-12.5",
        "12345-6789",
        "123-45-678",
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "978-3-16-148410-0",
        "12345678A",
        "AB123456Z",
        "W3-204-B",
        "E11.9",
        "NORTH",
        "open, paid",
        "one, two",
        "3.5 mg",
        "{not json",
        "[x]",
        "123e4567-e89b-12d3-a456",
        "00:1B:44:11:3A",
        "United Kingdom",
        "1, 2",
        "v2.10.4",
    ] {
        assert_eq!(kind_of(value), None, "{value}");
    }
}

/// Numbers that only count up pass a check digit now and then, never all of them.
#[test]
fn running_numbers_are_neither_cards_nor_identities() {
    for start in [
        4_000_000_000_000_000_u64,
        44_051_400_000,
        255_081_416_800_000,
    ] {
        let numbers: Vec<String> = (start..start + 1000).map(|n| n.to_string()).collect();
        let values: Vec<&str> = numbers.iter().map(String::as_str).collect();
        assert_eq!(kind(&values), None, "{start}");
        assert_eq!(by_numbers(&values), None, "{start}");
    }
}

#[test]
fn a_share_decides_and_few_values_say_nothing() {
    let mut values = vec!["x"; 90];
    values.extend(["a@example.org"; 10]);
    let share = Share { like: 10, of: 100 };
    assert_eq!(
        by_text(&values),
        Some((Kind::Email, share, "e-mail addresses"))
    );
    assert_eq!(
        share_of(Kind::Email, &values),
        Some((share, "e-mail addresses"))
    );
    values.push("y");
    assert_eq!(by_text(&values), None);
    assert_eq!(kind(&["a@example.org"; 2]), None);
    let addresses = ["10.0.0.1"; 79]
        .iter()
        .chain(&["x"; 21])
        .copied()
        .collect::<Vec<_>>();
    assert_eq!(kind(&addresses), None);
}

#[test]
fn births_reach_over_generations() {
    let every = |years: std::ops::Range<i32>| -> Vec<NaiveDate> {
        years
            .flat_map(|y| (1..=4).map(move |m| NaiveDate::from_ymd_opt(y, m, 9).unwrap()))
            .collect()
    };
    let births = every(1930..2015);
    assert_eq!(by_dates(&births), Some(Share { like: 340, of: 340 }));
    assert_eq!(by_dates(&every(2000..2025)), None);
    assert_eq!(by_dates(&every(1500..2000)), None);
    assert_eq!(by_dates(&births[..10]), None);
    // orders of late, and one wrong year
    let mut orders = every(2010..2026);
    orders.extend(every(1900..1901));
    assert_eq!(by_dates(&orders), None);
    let texts: Vec<String> = births
        .iter()
        .map(|d| d.format("%d.%m.%Y").to_string())
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    assert_eq!(kind(&texts), Some(Kind::BirthDate));
}

#[test]
fn different_and_repeated_values() {
    let numbers: Vec<String> = (0..1000).map(|n| format!("K{n}")).collect();
    let values: Vec<&str> = numbers.iter().map(String::as_str).collect();
    assert_eq!(
        all_different(&values),
        Some(Share {
            like: 1000,
            of: 1000
        })
    );
    assert_eq!(all_different(&values[..10]), None);
    assert!(all_different(&["a"; 100]).is_none());
    assert!(few_repeated(&["a"; 100]) && !few_repeated(&["a"; 99]) && !few_repeated(&values));
}
