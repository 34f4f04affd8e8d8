//! When a rule applies: days and hours on the clock of a place, and dates.
//!
//! A window is compared with what a clock on the wall there shows. Where the
//! clock is put forward, the hour that does not exist is never seen; where it
//! is put back, the hour that comes twice counts both times.

use std::collections::BTreeSet;
use std::fmt;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use crate::model::time::Timestamp;

/// Days and hours, in one time zone.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The days on which it opens. Empty: every day.
    pub days: BTreeSet<Day>,
    /// The hours in which it is open. `None`: all day.
    pub hours: Option<Hours>,
    /// Whose clock counts.
    pub zone: TimeZone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u8);

impl Day {
    /// The names that policies use, from Monday.
    pub const NAMES: [&'static str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

    /// The day of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let index = Self::NAMES.iter().position(|known| *known == name)?;
        u8::try_from(index).ok().map(Self)
    }

    /// The name that policies use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::NAMES
            .get(usize::from(self.0))
            .copied()
            .unwrap_or_default()
    }

    fn of(day: Weekday) -> Self {
        Self(day.to_monday_zero_offset().unsigned_abs())
    }
}

/// The weekday, as policies name it, and the hour of an instant in UTC.
pub(super) fn weekday_and_hour(now: Timestamp) -> (Day, i8) {
    let there = now.instant().to_zoned(TimeZone::UTC);
    (Day::of(there.weekday()), there.hour())
}

/// Hours of a day; the end is not among them. If the end comes before the
/// start, the window crosses midnight and belongs to the day it opens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Minutes since midnight, below 1440.
    start: u16,
    /// Minutes since midnight, at most 1440.
    end: u16,
}

const MINUTES_PER_DAY: u16 = 24 * 60;

impl Hours {
    /// Reads `08:00-18:00`.
    ///
    /// # Errors
    /// A sentence that says what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a span of hours; write `08:00-18:00`, or `22:00-06:00` across midnight"
            )
        };
        let (start, end) = text.split_once('-').ok_or_else(wrong)?;
        let (start, end) = (
            minutes(start).ok_or_else(wrong)?,
            minutes(end).ok_or_else(wrong)?,
        );
        if start == MINUTES_PER_DAY {
            return Err(wrong());
        }
        if start == end {
            return Err(format!(
                "`{text}` is empty; for the whole day write `00:00-24:00`, or leave `hours` out"
            ));
        }
        Ok(Self { start, end })
    }

    const fn crosses_midnight(self) -> bool {
        self.end < self.start
    }
}

fn minutes(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| {
        (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit()))
            .then(|| part.parse::<u16>().ok())
    };
    let (hour, minute) = (two_digits(hour)??, two_digits(minute)??);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= MINUTES_PER_DAY).then_some(total)
}

fn minute_of_day(time: Time) -> u16 {
    let hour = u16::from(time.hour().unsigned_abs());
    hour.saturating_mul(60)
        .saturating_add(u16::from(time.minute().unsigned_abs()))
}

impl Window {
    /// Whether `now` is inside.
    #[must_use]
    pub fn contains(&self, now: Timestamp) -> bool {
        let there = now.instant().to_zoned(self.zone.clone());
        let today = there.weekday();
        let Some(hours) = self.hours else {
            return self.opens_on(today);
        };
        let minute = minute_of_day(there.time());
        if !hours.crosses_midnight() {
            return (hours.start..hours.end).contains(&minute) && self.opens_on(today);
        }
        (minute >= hours.start && self.opens_on(today))
            || (minute < hours.end && self.opens_on(today.previous()))
    }

    fn opens_on(&self, day: Weekday) -> bool {
        self.days.is_empty() || self.days.contains(&Day::of(day))
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for day in &self.days {
            write!(f, "{} ", day.as_str())?;
        }
        if let Some(Hours { start, end }) = self.hours {
            let [start_hour, end_hour] = [start / 60, end / 60];
            write!(
                f,
                "{start_hour:02}:{:02}-{end_hour:02}:{:02} ",
                start % 60,
                end % 60
            )?;
        }
        f.write_str(self.zone.iana_name().unwrap_or("UTC"))
    }
}

/// The time zone of an IANA name.
///
/// # Errors
/// The nearest name, if there is one.
pub fn zone(name: &str) -> Result<TimeZone, Option<String>> {
    let known = || {
        jiff::tz::db()
            .available()
            .map(|name| name.to_string())
            .collect::<Vec<_>>()
    };
    match TimeZone::get(name) {
        Ok(zone) => Ok(zone),
        Err(_) => Err(super::diagnostic::did_you_mean(
            name,
            known().iter().map(String::as_str),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[&str], hours: &str, zone: &str) -> Window {
        Window {
            days: days.iter().map(|day| Day::parse(day).unwrap()).collect(),
            hours: (!hours.is_empty()).then(|| Hours::parse(hours).unwrap()),
            zone: super::zone(zone).unwrap(),
        }
    }

    #[track_caller]
    fn table(window: &Window, rows: &[(&str, bool)]) {
        for (at, open) in rows {
            assert_eq!(window.contains(at.parse().unwrap()), *open, "{at}");
        }
    }

    #[test]
    fn office_hours_follow_the_wall_clock_across_both_changes() {
        let office = window(
            &["mon", "tue", "wed", "thu", "fri"],
            "08:00-18:00",
            "Europe/Berlin",
        );
        table(
            &office,
            &[
                // Monday in winter: UTC+1.
                ("2026-03-23T06:59:59Z", false),
                ("2026-03-23T07:00:00Z", true),
                ("2026-03-23T16:59:59Z", true),
                ("2026-03-23T17:00:00Z", false),
                // Monday after the clock went forward on 29 March: UTC+2.
                ("2026-03-30T05:59:59Z", false),
                ("2026-03-30T06:00:00Z", true),
                ("2026-03-30T16:00:00Z", false),
                // Monday after it went back on 25 October: UTC+1.
                ("2026-10-26T06:30:00Z", false),
                ("2026-10-26T07:00:00Z", true),
                // The Sunday itself.
                ("2026-10-25T10:00:00Z", false),
            ],
        );
    }

    #[test]
    fn the_hour_that_comes_twice_counts_twice_and_the_missing_one_never() {
        let night = window(&[], "02:00-03:00", "Europe/Berlin");
        table(
            &night,
            &[
                // 25 October 2026: 02:00-03:00 comes at UTC+2 and again at UTC+1.
                ("2026-10-24T23:59:59Z", false),
                ("2026-10-25T00:00:00Z", true),
                ("2026-10-25T00:59:59Z", true),
                ("2026-10-25T01:00:00Z", true),
                ("2026-10-25T01:59:59Z", true),
                ("2026-10-25T02:00:00Z", false),
                // 29 March 2026: the clock jumps from 02:00 to 03:00 at 01:00Z.
                ("2026-03-29T00:59:59Z", false),
                ("2026-03-29T01:00:00Z", false),
            ],
        );
        let york = window(&[], "01:00-02:00", "America/New_York");
        // 1 November 2026: 01:00-02:00 comes at UTC-4 and again at UTC-5.
        table(
            &york,
            &[
                ("2026-11-01T04:59:59Z", false),
                ("2026-11-01T05:30:00Z", true),
                ("2026-11-01T06:30:00Z", true),
                ("2026-11-01T07:00:00Z", false),
            ],
        );
    }

    #[test]
    fn a_window_across_midnight_belongs_to_the_day_it_opens_on() {
        let friday_night = window(&["fri"], "22:00-06:00", "UTC");
        table(
            &friday_night,
            &[
                ("2026-07-03T21:59:59Z", false),
                ("2026-07-03T22:00:00Z", true),
                ("2026-07-04T00:00:00Z", true),
                ("2026-07-04T05:59:59Z", true),
                ("2026-07-04T06:00:00Z", false),
                ("2026-07-04T22:00:00Z", false),
                // Friday before dawn is Thursday's night.
                ("2026-07-03T05:00:00Z", false),
            ],
        );
    }

    #[test]
    fn a_year_ends_at_a_different_instant_in_every_zone() {
        // 31 December 2026 is a Thursday.
        let rows = [
            (
                "Pacific/Kiritimati",
                "2026-12-31T09:59:59Z",
                "2026-12-31T10:00:00Z",
            ),
            (
                "Asia/Kathmandu",
                "2026-12-31T18:14:59Z",
                "2026-12-31T18:15:00Z",
            ),
            ("UTC", "2026-12-31T23:59:59Z", "2027-01-01T00:00:00Z"),
            (
                "Pacific/Niue",
                "2027-01-01T10:59:59Z",
                "2027-01-01T11:00:00Z",
            ),
        ];
        for (zone, last, first) in rows {
            let thursday = window(&["thu"], "00:00-24:00", zone);
            table(&thursday, &[(last, true), (first, false)]);
            let friday = window(&["fri"], "", zone);
            table(&friday, &[(last, false), (first, true)]);
        }
    }

    #[test]
    fn hours_have_one_form() {
        for good in ["00:00-24:00", "08:30-09:00", "22:00-06:00", "23:59-00:00"] {
            assert!(Hours::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "8-18",
            "08:00",
            "8:00-18:00",
            "08:00-08:00",
            "24:00-01:00",
            "25:00-26:00",
            "08:60-09:00",
            "08:00-18:00-19:00",
            "+8:00-18:00",
        ] {
            assert!(Hours::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unknown_zones_are_refused_with_the_nearest() {
        assert_eq!(
            zone("Europe/Berln"),
            Err(Some("did you mean `Europe/Berlin`?".into()))
        );
        assert_eq!(zone("nowhere at all"), Err(None));
    }
}
