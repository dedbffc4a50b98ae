//! `truncate_date`: the first moment of a year, quarter, month, week or day.

use std::sync::Arc;

use arrow::array::timezone::Tz;
use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use arrow::error::ArrowError;
use chrono::{DateTime, NaiveDateTime, Offset, TimeZone};
use serde::Serialize;

const DAY_SECONDS: i64 = 86_400;

/// A span of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
}

impl Unit {
    pub(crate) const ALL: [Self; 5] = [
        Self::Year,
        Self::Quarter,
        Self::Month,
        Self::Week,
        Self::Day,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Quarter => "quarter",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
        }
    }

    /// The first day of the span that contains `day`, both counted from 1970-01-01.
    fn first_day(self, day: i64) -> i64 {
        match self {
            Self::Day => day,
            // 1970-01-01 was a Thursday; weeks begin on Monday.
            Self::Week => day - (day + 3).rem_euclid(7),
            Self::Month => {
                let (year, month) = year_and_month(day);
                first_of_month(year, month)
            }
            Self::Quarter => {
                let (year, month) = year_and_month(day);
                first_of_month(year, (month - 1) / 3 * 3 + 1)
            }
            Self::Year => first_of_month(year_and_month(day).0, 1),
        }
    }
}

/// Year and month of a day; good for every day an Arrow type can hold, where `chrono` is not.
/// The calendar is cut into eras of 400 years that begin in March, so that the leap day is last.
fn year_and_month(day: i64) -> (i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let day_of_era = day.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month)
}

fn first_of_month(year: i64, month: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A span, and the zone whose calendar counts for instants; `None` is UTC.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DateKernel {
    pub(crate) unit: Unit,
    pub(crate) zone: Option<Tz>,
}

impl DateKernel {
    pub(crate) fn apply(self, array: &dyn Array) -> Result<ArrayRef, ArrowError> {
        Ok(match array.data_type() {
            DataType::Date32 => {
                let min = i64::from(i32::MIN);
                map::<Date32Type>(array, |day| {
                    // The first day never lies after the day, so only the lower bound can be hit.
                    i32::try_from(self.unit.first_day(i64::from(day)).max(min)).unwrap_or(day)
                })
            }
            DataType::Date64 => map::<Date64Type>(array, |value| truncate(self.unit, value, 1_000)),
            DataType::Timestamp(TimeUnit::Second, _) => self.instants::<TimestampSecondType>(array),
            DataType::Timestamp(TimeUnit::Millisecond, _) => {
                self.instants::<TimestampMillisecondType>(array)
            }
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.instants::<TimestampMicrosecondType>(array)
            }
            DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                self.instants::<TimestampNanosecondType>(array)
            }
            other => {
                let message = format!("truncate_date was given {other}");
                return Err(ArrowError::InvalidArgumentError(message));
            }
        })
    }

    fn instants<T: ArrowPrimitiveType<Native = i64>>(self, array: &dyn Array) -> ArrayRef {
        let per_second = match array.data_type() {
            DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000,
            DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000_000,
            DataType::Timestamp(TimeUnit::Nanosecond, _) => 1_000_000_000,
            _ => 1,
        };
        let unit = self.unit;
        match self.zone {
            None => map::<T>(array, |value| truncate(unit, value, per_second)),
            Some(zone) => map::<T>(array, |value| truncate_in(unit, zone, value, per_second)),
        }
    }
}

fn map<T: ArrowPrimitiveType>(array: &dyn Array, f: impl Fn(T::Native) -> T::Native) -> ArrayRef {
    let masked: PrimitiveArray<T> = array.as_primitive::<T>().unary(f);
    Arc::new(masked.with_data_type(array.data_type().clone()))
}

/// Truncates in UTC. What lies before the first value of the type becomes that value.
fn truncate(unit: Unit, value: i64, per_second: i64) -> i64 {
    let per_day = DAY_SECONDS * per_second;
    unit.first_day(value.div_euclid(per_day))
        .checked_mul(per_day)
        .unwrap_or(i64::MIN)
}

fn truncate_in(unit: Unit, zone: Tz, value: i64, per_second: i64) -> i64 {
    let seconds = value.div_euclid(per_second);
    // Beyond the calendar of the zone data there are no clock changes worth the name.
    let Some(utc) = naive(seconds) else {
        return truncate(unit, value, per_second);
    };
    let offset = i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc());
    let midnight = unit.first_day((seconds + offset).div_euclid(DAY_SECONDS)) * DAY_SECONDS;
    let start = instant_of(zone, midnight).unwrap_or(midnight - offset);
    start.checked_mul(per_second).unwrap_or(i64::MIN)
}

fn naive(seconds: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp(seconds, 0).map(|instant| instant.naive_utc())
}

/// The first instant at which clocks of the zone show `local` or, where they jump over it, later.
fn instant_of(zone: Tz, local: i64) -> Option<i64> {
    let clock = naive(local)?;
    let offsets = zone.offset_from_local_datetime(&clock);
    let offset = match offsets.earliest() {
        Some(offset) => offset,
        None => zone.offset_from_utc_datetime(&naive(local - DAY_SECONDS)?),
    };
    Some(local - i64::from(offset.fix().local_minus_utc()))
}

#[cfg(test)]
mod tests {
    use super::{Unit, truncate, truncate_in, year_and_month};
    use chrono::{DateTime, Datelike, NaiveDate};

    fn seconds(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    #[test]
    fn spans_begin_where_the_calendar_says() {
        let value = seconds("2024-08-15T17:45:12Z");
        for (unit, first) in [
            (Unit::Year, "2024-01-01T00:00:00Z"),
            (Unit::Quarter, "2024-07-01T00:00:00Z"),
            (Unit::Month, "2024-08-01T00:00:00Z"),
            (Unit::Week, "2024-08-12T00:00:00Z"),
            (Unit::Day, "2024-08-15T00:00:00Z"),
        ] {
            assert_eq!(truncate(unit, value, 1), seconds(first), "{unit:?}");
        }
    }

    #[test]
    fn the_calendar_agrees_with_chrono() {
        for day in (-800_000..800_000).step_by(17) {
            let date = NaiveDate::from_epoch_days(day).unwrap();
            let day = i64::from(day);
            let expected = (i64::from(date.year()), i64::from(date.month()));
            assert_eq!(year_and_month(day), expected);
            let first = date.with_day(1).unwrap();
            let distance = (date - first).num_days();
            assert_eq!(Unit::Month.first_day(day), day - distance);
        }
    }

    #[test]
    fn extremes_saturate() {
        for unit in Unit::ALL {
            for per_second in [1, 1_000, 1_000_000, 1_000_000_000] {
                assert!(truncate(unit, i64::MAX, per_second) > 0);
                assert!(truncate(unit, i64::MIN, per_second) < 0);
                let zone = "Europe/Berlin".parse().unwrap();
                assert!(truncate_in(unit, zone, i64::MIN, per_second) < 0);
                assert!(truncate_in(unit, zone, i64::MAX, per_second) > 0);
            }
        }
        assert_eq!(truncate(Unit::Year, i64::MIN, 1_000_000_000), i64::MIN);
    }

    #[test]
    fn a_zone_has_its_own_midnight() {
        let berlin = "Europe/Berlin".parse().unwrap();
        let new_year = seconds("2023-12-31T23:30:00Z");
        let first = truncate_in(Unit::Year, berlin, new_year, 1);
        assert_eq!(first, seconds("2023-12-31T23:00:00Z"));
        // Summer time: the day began under the other offset.
        let noon = seconds("2024-03-31T12:00:00Z");
        assert_eq!(
            truncate_in(Unit::Day, berlin, noon, 1),
            seconds("2024-03-30T23:00:00Z")
        );
        // Clocks in São Paulo jumped from midnight to one.
        let sao_paulo = "America/Sao_Paulo".parse().unwrap();
        let noon = seconds("2018-11-04T12:00:00Z");
        assert_eq!(
            truncate_in(Unit::Day, sao_paulo, noon, 1),
            seconds("2018-11-04T03:00:00Z")
        );
    }
}
