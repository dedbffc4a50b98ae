//! Tables of values in and out.

use super::{SMALL_ZIP3, TextKernel, compile, head, tail};
use crate::mask::{KeepDomain, NoMatch};

fn check(kernel: &TextKernel, cases: &[(&str, Option<&str>)]) {
    for (value, expected) in cases {
        let mut out = "before|".to_owned();
        let shown = kernel.write(value, &mut out);
        let shown = shown.then(|| out.strip_prefix("before|").unwrap());
        assert_eq!(shown, *expected, "{value:?}");
    }
}

fn partial(keep_first: usize, keep_last: usize, fill: &str) -> TextKernel {
    TextKernel::Partial {
        keep_first,
        keep_last,
        fill: fill.to_owned(),
        min_masked: 4,
    }
}

#[test]
fn partial_keeps_the_ends_of_long_values() {
    // The first is the vector of PostgreSQL Anonymizer's documentation.
    check(
        &partial(1, 3, "xxxx"),
        &[
            ("abcdefgh", Some("axxxxfgh")),
            ("abcdefg", Some("xxxx")),
            ("", Some("")),
        ],
    );
    check(
        &partial(0, 0, "****"),
        &[("abcd", Some("****")), ("abc", Some("****"))],
    );
    check(
        &partial(0, 4, "****"),
        &[("4111111111111111", Some("****1111"))],
    );
    check(
        &partial(2, 1, "-"),
        &[
            ("Zoë Müller", Some("Zo-r")),
            ("Zoe\u{308}abcd", Some("Zo-d")),
            ("日本語日本語日", Some("日本-日")),
        ],
    );
}

#[test]
fn composed_and_decomposed_letters_count_the_same() {
    let kernel = TextKernel::Prefix { length: 3 };
    check(
        &kernel,
        &[
            ("Zoë!", Some("Zoë")),
            ("Zoe\u{308}!", Some("Zoë")),
            ("ab", Some("ab")),
        ],
    );
}

#[test]
fn heads_and_tails_are_cut_between_characters() {
    assert_eq!((head("añb", 2), tail("añb", 2)), ("añ", "ñb"));
    assert_eq!((head("añb", 0), tail("añb", 0)), ("", ""));
    assert_eq!((head("añb", 9), tail("añb", 9)), ("añb", "añb"));
}

#[test]
fn email_shows_what_it_is_told() {
    let email = |keep_local, keep_domain| TextKernel::Email {
        keep_local,
        keep_domain,
    };
    check(
        &email(1, KeepDomain::Tld),
        &[
            ("daamien@Gmail.COM", Some("d****@****.com")),
            ("x@gmail.com", Some("****@****.com")),
            ("élise@exemple.fr", Some("é****@****.fr")),
            ("root@localhost", Some("r****@****")),
            ("root@203.0.113.77", Some("r****@****")),
            ("root@example.", Some("r****@****")),
            ("root@example.xn--p1ai", Some("r****@****.xn--p1ai")),
            ("no address", Some("****")),
            ("@gmail.com", Some("****")),
            ("a@b@c.com", Some("****")),
            ("a@", Some("****")),
            ("a@x.see my secret", Some("****")),
            ("", Some("****")),
        ],
    );
    check(
        &email(2, KeepDomain::Full),
        &[("daamien@Gmail.com", Some("da****@gmail.com"))],
    );
    check(
        &email(0, KeepDomain::None),
        &[("daamien@gmail.com", Some("****@****"))],
    );
}

#[test]
fn a_pattern_that_finds_nothing_redacts() {
    let regex = |pattern, replacement: &str, on_no_match| TextKernel::Regex {
        regex: compile(pattern).unwrap(),
        replacement: replacement.to_owned(),
        on_no_match,
    };
    let kernel = regex(r"\d{4}", "####", NoMatch::Redact);
    check(
        &kernel,
        &[("1234-x-5678", Some("####-x-####")), ("none", Some("****"))],
    );
    let kernel = regex(r"^(\w)\w*", "$1.", NoMatch::Redact);
    check(
        &kernel,
        &[("Alice Liddell", Some("A. Liddell")), ("?", Some("****"))],
    );
    let kernel = regex(r"\d{4}", "####", NoMatch::Keep);
    check(&kernel, &[("1234", Some("####")), ("none", Some("none"))]);
    // It matches nothing, everywhere: nothing was taken away.
    let kernel = regex(r"\d*", "", NoMatch::Redact);
    check(
        &kernel,
        &[("abc", Some("****")), ("a1c", Some("ac")), ("", Some(""))],
    );
}

#[test]
fn patterns_are_bounded() {
    assert!(compile("(").is_err());
    assert!(compile("((a{1000}){1000}){1000}").is_err());
}

#[test]
fn the_list_of_small_areas_is_complete() {
    assert_eq!(SMALL_ZIP3.len(), 17);
    assert!(SMALL_ZIP3.is_sorted());
    assert!(SMALL_ZIP3.contains(&"890"));
}

#[test]
fn zip3_hides_small_areas_and_oddities() {
    check(
        &TextKernel::Zip3,
        &[
            ("94107", Some("941")),
            ("94107-1234", Some("941")),
            (" 94107 ", Some("941")),
            ("03601", Some("000")),
            ("89301-0001", Some("000")),
            ("9410", Some("000")),
            ("941071", Some("000")),
            ("94107-12", Some("000")),
            ("94107-", Some("000")),
            ("９４１０７", Some("000")),
            ("SW1A 1AA", Some("000")),
            ("", Some("000")),
        ],
    );
}

#[test]
fn ip_truncate_zeroes_the_host() {
    check(
        &TextKernel::IpTruncate { v4: 24, v6: 48 },
        &[
            ("203.0.113.77", Some("203.0.113.0")),
            ("2001:db8:1:2:3:4:5:6", Some("2001:db8:1::")),
            ("::ffff:203.0.113.77", Some("203.0.113.0")),
            ("203.0.113.777", None),
            ("localhost", None),
            ("", None),
        ],
    );
    check(
        &TextKernel::IpTruncate { v4: 0, v6: 128 },
        &[
            ("203.0.113.77", Some("0.0.0.0")),
            ("2001:db8::1", Some("2001:db8::1")),
        ],
    );
}
