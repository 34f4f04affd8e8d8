//! What a report is asked for.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use super::event::{Event, Kind};
use super::parties::{Id, Parties};
use crate::model::time::Timestamp;

/// What to read, what to show of it, and what to call odd.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Audit logs of the server: the files of a `file` audit device, also
    /// rotated and gzipped ones, in any order; `-` is stdin.
    #[arg(required = true, value_name = "AUDIT_LOG")]
    pub files: Vec<PathBuf>,

    /// How to write the report.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Table)]
    pub format: Format,

    /// Where to write it [default: stdout].
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// A mount of the plugin, by its path or its type. Can be repeated
    /// [default: mounts of the type `agentic`, and those that answer as the
    /// plugin does].
    #[arg(long = "mount", value_name = "MOUNT")]
    pub mounts: Vec<String>,

    /// Only this agent: its name, its id, or the id of its entity.
    #[arg(long, value_name = "AGENT")]
    pub agent: Option<String>,

    /// Only what was done for this human: the id of the entity, or the name
    /// that the server shows.
    #[arg(long, value_name = "SUBJECT")]
    pub subject: Option<String>,

    /// Only this target.
    #[arg(long, value_name = "TARGET")]
    pub target: Option<String>,

    /// Only from this time on: RFC 3339, or a day as in 2027-01-31, in UTC.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<Timestamp>,

    /// Only before this time.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<Timestamp>,

    /// How many events to list: the newest. Counts are of all.
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = bounded::<100_000>)]
    pub events: usize,

    /// The hours of work, Monday to Friday; all else is off-hours.
    #[arg(long, value_name = "FROM-TO", default_value = "7-19")]
    pub office_hours: Hours,

    /// The time zone of the hours of work, as in Europe/Berlin.
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone)]
    pub time_zone: TimeZone,

    /// How many requests within one hour off-hours are a burst.
    #[arg(long, value_name = "NUMBER", default_value_t = 20, value_parser = bounded::<1_000_000>)]
    pub burst: usize,

    /// How many refusals within one hour are a spike.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = bounded::<1_000_000>)]
    pub spike: usize,

    /// How many dry runs within one hour are probing.
    #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = bounded::<1_000_000>)]
    pub probing: usize,

    /// After how many hours in the log a target is new to an agent, and not
    /// one that it uses anyway.
    #[arg(long, value_name = "HOURS", default_value_t = 24)]
    pub settled: u32,

    /// Exit with 3 if there is any anomaly.
    #[arg(long)]
    pub fail_on_anomaly: bool,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Text for a terminal.
    Table,
    /// JSON for programs; its shape is in docs/report.md.
    Json,
    /// One page without anything external.
    Html,
}

/// Hours of a day, from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    from: i8,
    to: i8,
}

impl FromStr for Hours {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let hours = text.split_once('-').and_then(|(from, to)| {
            let hours = Self {
                from: from.trim().parse().ok()?,
                to: to.trim().parse().ok()?,
            };
            (0 <= hours.from && hours.from < hours.to && hours.to <= 24).then_some(hours)
        });
        hours.ok_or_else(|| "write two hours of a day, as in 7-19".to_owned())
    }
}

impl std::fmt::Display for Hours {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:00 to {}:00", self.from, self.to)
    }
}

impl Options {
    /// Whether it is in the time asked for.
    pub(super) fn is_in_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| since <= at) && self.until.is_none_or(|until| at < until)
    }

    /// Whether it is about the target asked for, or about an agent as a whole.
    pub(super) fn is_of_target(&self, event: &Event) -> bool {
        let Some(wanted) = &self.target else {
            return true;
        };
        match event.target.shown() {
            Some(target) => target == *wanted,
            None if event.kind.is_activity() || event.kind == Kind::RevokeCredentials => false,
            None => {
                let named = |scope: &String| {
                    let targets = scope.split_once(" on ").map_or("", |(_, rest)| rest);
                    let targets = targets
                        .rsplit_once(": ")
                        .map_or(targets, |(front, _)| front);
                    targets
                        .split(", ")
                        .any(|target| target == wanted || target == "*")
                };
                event.scope.is_empty() || event.scope.iter().any(named)
            }
        }
    }

    /// Whether it may be about the agent and the human asked for, as far as is
    /// known by now.
    pub(super) fn may_concern(
        &self,
        parties: &Parties,
        agent: Option<Id>,
        subject: Option<Id>,
    ) -> bool {
        let may = |wanted: &Option<String>, id: Option<Id>| {
            let (Some(_), Some(party)) = (wanted, id.and_then(|id| parties.get(id))) else {
                return wanted.is_none() || id.is_none();
            };
            let open = party.name.is_none() || party.agent_id.is_none();
            open || is(parties, wanted.as_deref(), id)
        };
        may(&self.agent, agent) && (self.subject.is_none() || may(&self.subject, subject))
    }

    /// Whether it is about the agent asked for.
    pub(super) fn is_agent(&self, parties: &Parties, id: Option<Id>) -> bool {
        is(parties, self.agent.as_deref(), id)
    }

    /// Whether it is about the human asked for.
    pub(super) fn is_subject(&self, parties: &Parties, id: Option<Id>) -> bool {
        is(parties, self.subject.as_deref(), id)
    }

    /// Whether an hour that begins then is outside the hours of work.
    pub(super) fn is_off_hours(&self, start: i64) -> bool {
        let at = Timestamp::from_unix(start).instant();
        let local = at.to_zoned(self.time_zone.clone());
        let weekend = matches!(local.weekday(), Weekday::Saturday | Weekday::Sunday);
        weekend || local.hour() < self.office_hours.from || local.hour() >= self.office_hours.to
    }

    /// The name of the time zone.
    pub(super) fn zone(&self) -> &str {
        self.time_zone.iana_name().unwrap_or("UTC")
    }
}

fn is(parties: &Parties, wanted: Option<&str>, id: Option<Id>) -> bool {
    let Some(wanted) = wanted else { return true };
    let party = id.and_then(|id| parties.get(id));
    party.is_some_and(|party| {
        [&party.name, &party.agent_id, &party.entity, &party.display]
            .into_iter()
            .any(|known| known.as_deref() == Some(wanted))
    })
}

fn time(text: &str) -> Result<Timestamp, String> {
    text.parse().or_else(|error| {
        format!("{text}T00:00:00Z")
            .parse()
            .map_err(|_: String| error)
    })
}

fn zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text)
        .map_err(|_| format!("`{text}` is no time zone; write one as in Europe/Berlin"))
}

fn bounded<const MOST: usize>(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("write a number from 1 to {MOST}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_times_are_read_or_refused() {
        assert_eq!(
            "7-19".parse::<Hours>().unwrap().to_string(),
            "7:00 to 19:00"
        );
        for wrong in ["", "7", "19-7", "7-25", "-1-3", "a-b", "7-7"] {
            assert!(wrong.parse::<Hours>().is_err(), "{wrong}");
        }
        let day = time("2026-03-02").unwrap();
        assert_eq!(day, time("2026-03-02T00:00:00Z").unwrap());
        assert!(time("yesterday").unwrap_err().contains("RFC 3339"));
        assert!(zone("Europe/Berlin").is_ok() && zone("Mars").is_err());
    }
}
