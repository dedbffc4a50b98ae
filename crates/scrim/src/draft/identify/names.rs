//! What a column's name says that it holds.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Kind;

/// Names by what they say, with dashes between their words. The first that fits counts, so the narrow
/// ones stand first: an e-mail address is no postal one. The languages are those that databases are
/// most often named in.
const NAMES: &[(Kind, &str)] = &[
    (
        Kind::Secret,
        "password passwd pwd passwort kennwort mot-de-passe contrasena api-key secret \
         access-token refresh-token auth-token session-token",
    ),
    (
        Kind::Email,
        "email e-mail mail courriel correo epost posta-elettronica email-address email-addr \
         mail-address",
    ),
    (
        Kind::Ip,
        "ip ipv4 ipv6 ip-addr ip-address remote-addr remote-address",
    ),
    (
        Kind::Device,
        "mac-address mac-addr imei imsi device-id udid idfa advertising-id vin license-plate \
         licence-plate number-plate kennzeichen",
    ),
    (
        Kind::Card,
        "card-number card-no credit-card debit-card cc-number cc-num kreditkarte \
         kreditkartennummer kartennummer carte-bancaire tarjeta carta-di-credito",
    ),
    (
        Kind::BankAccount,
        "iban bank-account account-number account-no kontonummer bankkonto compte-bancaire \
         cuenta-bancaria conto-corrente",
    ),
    (
        Kind::NationalId,
        "ssn social-security national-id national-insurance nino passport passport-id \
         identity-card id-card identity-number driver-license drivers-license driving-licence \
         tax-id taxpayer-id tax-number nhs-number aadhaar steuernummer steuer-id \
         sozialversicherungsnummer ausweis ausweisnummer personalausweis reisepass passeport \
         insee pasaporte dni nif curp codice-fiscale passaporto cpf bsn pesel personnummer \
         fodselsnummer",
    ),
    (
        Kind::Phone,
        "phone telephone tel mobile cellphone cell-phone cell msisdn fax telefon \
         telefonnummer handy handynummer rufnummer telefono movil celular telefone cellulare \
         telefoon",
    ),
    (
        Kind::UserName,
        "username user-name login login-name screen-name user-handle benutzername \
         nom-utilisateur nom-d-utilisateur usuario gebruikersnaam",
    ),
    (
        Kind::PersonName,
        "first-name last-name full-name given-name family-name middle-name maiden-name \
         birth-name legal-name display-name surname forename nickname patient-name \
         customer-name person-name contact-name employee-name member-name holder-name \
         account-holder owner-name client-name doctor-name physician-name vorname nachname \
         familienname geburtsname prenom nom-de-famille nom-famille apellido apellidos \
         cognome sobrenome voornaam achternaam imie nazwisko",
    ),
    (
        Kind::BirthDate,
        "birth date-of-birth dob birthdate birthday birthyear born geburtsdatum geburtstag \
         geburtsjahr naissance nacimiento nascita nascimento geboortedatum urodzenia \
         fodselsdato",
    ),
    (
        Kind::PostalCode,
        "zip zipcode postcode post-code postal-code postal plz postleitzahl code-postal \
         codigo-postal cep postnummer",
    ),
    (
        Kind::Coordinates,
        "lat latitude lon lng longitude geo geolocation coordinates coordinate gps geom \
         geometry breitengrad laengengrad langengrad",
    ),
    (
        Kind::Address,
        "address addr street house-number anschrift adresse strasse hausnummer rue direccion \
         calle domicilio indirizzo endereco adres straat ulica",
    ),
    (
        Kind::FreeText,
        "note comment remark free-text freetext memo message narrative bemerkung bemerkungen \
         kommentar notiz notizen commentaire remarque observaciones comentario osservazioni \
         opmerking opmerkingen",
    ),
];

/// Words for a person, which make a key of a number beside them.
const PERSONS: &str = "patient person customer client member user employee student subscriber beneficiary \
     insured policyholder resident citizen applicant donor participant kunde kunden patienten \
     mitglied cliente paciente paziente";

/// Words for a number that stands for something.
const KEYS: &str = "id no nr num number key ref uuid guid code nummer numero";

/// Whole names of keys of people.
const PERSON_KEYS: &str = "mrn kundennummer patientennummer mitgliedsnummer";

/// Whole names that say a person's name, unless the values tell otherwise.
const BARE_NAMES: &str = "name nom nombre nome naam";

/// Words that make a column one about the thing before them, which it does not hold.
const ABOUT: &str = "status type kind count flag verified valid confirmed enabled format template subject \
     domain provider version length sent opened bounced consent opt place country city weight \
     order category source rank size score id key uuid at on";

/// Words before it that say the same.
const WHETHER: &str = "is has no num count allow send needs";

/// What a name says, and whether only the name as a whole says it, so that values may gainsay it.
pub(super) fn by_name(name: &str) -> Option<(Kind, bool)> {
    let words = words(name);
    if words.first().is_some_and(|word| is_among(word, WHETHER)) {
        return None;
    }
    let whole = words.concat();
    for (kind, patterns) in NAMES {
        if patterns
            .split(' ')
            .any(|pattern| fits(&words, &whole, pattern))
        {
            return Some((*kind, false));
        }
    }
    if is_person_key(&words, &whole) {
        return Some((Kind::PersonKey, false));
    }
    is_among(&whole, BARE_NAMES).then_some((Kind::PersonName, true))
}

fn is_among(word: &str, words: &str) -> bool {
    words.split(' ').any(|other| other == word)
}

fn fits(words: &[String], whole: &str, pattern: &str) -> bool {
    let wanted: Vec<&str> = pattern.split('-').collect();
    // `EMAILADDRESS`, `dateofbirth`
    if wanted.len() > 1 && whole == wanted.concat() {
        return true;
    }
    let starts = words.windows(wanted.len()).enumerate();
    let mut found = starts.filter(|(_, part)| part.iter().zip(&wanted).all(|(a, b)| same(a, b)));
    found.any(|(start, part)| {
        let mut rest = words.iter().skip(start + part.len());
        !rest.any(|word| is_among(word, ABOUT))
    })
}

/// Whether a word is the wanted one, or many of it.
fn same(word: &str, wanted: &str) -> bool {
    word == wanted || word.strip_suffix('s') == Some(wanted)
}

fn is_person_key(words: &[String], whole: &str) -> bool {
    let is_pair = |person: &str, key: &str| is_among(person, PERSONS) && is_among(key, KEYS);
    let pairs = words.windows(2).any(|pair| match pair {
        [a, b] => is_pair(a, b) || (is_pair(b, a) && words.len() == 2),
        _ => false,
    });
    let mut persons = PERSONS.split(' ');
    let one_word = |person| {
        whole
            .strip_prefix(person)
            .is_some_and(|key| is_among(key, KEYS))
    };
    pairs || is_among(whole, PERSON_KEYS) || persons.any(one_word)
}

/// A name's words in small letters without accents: `firstName`, `FIRST_NAME` and `First Name` are
/// the same two.
pub(super) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let folded: Vec<char> = name.nfd().filter(|c| !is_combining_mark(*c)).collect();
    for (index, c) in folded.iter().copied().enumerate() {
        let next = folded.get(index + 1).copied().unwrap_or(' ');
        let hump = c.is_uppercase()
            && (before.is_lowercase() || before.is_uppercase() && next.is_lowercase());
        let number = c.is_ascii_digit() != before.is_ascii_digit() && !is_version(before, c);
        if !c.is_alphanumeric() || hump || number {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            if c == 'ß' {
                word.push_str("ss");
            } else {
                word.extend(c.to_lowercase());
            }
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `ipv4` is one word.
fn is_version(before: char, c: char) -> bool {
    matches!(before, 'v' | 'V') && c.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        for (name, expected) in [
            ("first_name", "first name"),
            ("firstName", "first name"),
            ("FIRST_NAME", "first name"),
            ("First Name", "first name"),
            ("IPAddress", "ip address"),
            ("client_ipv4", "client ipv4"),
            ("address2", "address 2"),
            ("Prénom", "prenom"),
            ("Straße", "strasse"),
            ("__x__", "x"),
            ("", ""),
        ] {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn names_of_identifiers() {
        for (kind, names) in [
            (
                Kind::Email,
                "email | E-Mail | holderEmail | emailaddress | contact_emails | courriel | \
                 correo_electronico",
            ),
            (Kind::Phone, "phone_number | Tel | telefonnummer | mobile1"),
            (Kind::NationalId, "ssn | passport_no | codice_fiscale"),
            (
                Kind::PersonName,
                "full_name | birth_name | LASTNAME | Nachname | prénom | nom_de_famille | name",
            ),
            (
                Kind::BirthDate,
                "dob | date_of_birth | DateOfBirth | geburtsdatum | fecha_nacimiento | \
                 date_naissance",
            ),
            (Kind::BankAccount, "iban | bank_account_no"),
            (Kind::Card, "card_number"),
            (Kind::Ip, "client_ip | remote_addr | ipAddress"),
            (Kind::Device, "mac_address"),
            (Kind::Address, "home_address | street | Straße"),
            (Kind::PostalCode, "zip | code_postal | plz"),
            (Kind::Coordinates, "latitude | geo_lon"),
            (
                Kind::PersonKey,
                "patient_id | patientId | customer_number | id_cliente | mrn",
            ),
            (Kind::FreeText, "notes | free_text | bemerkungen"),
            (Kind::UserName, "username | login"),
            (Kind::Secret, "password_hash"),
        ] {
            for name in names.split(" | ") {
                let found = by_name(name).map(|(kind, _)| kind);
                assert_eq!(found, Some(kind), "{name}");
            }
        }
    }

    #[test]
    fn names_of_other_things() {
        let names = "product_name company_name file_name hostname table_name email_status \
                     email_sent_at address_id message_uuid has_phone is_email_verified phone_type \
                     no_of_notes birth_weight birth_country address_type zipped shipping \
                     ship_mode description order_id visit_id account_type ward region amount \
                     platform total tellers denominator latest along geography_level card_type \
                     passed id user_count member_since custID";
        for name in names.split(' ') {
            assert_eq!(by_name(name), None, "{name}");
        }
    }
}
