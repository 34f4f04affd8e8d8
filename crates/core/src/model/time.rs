//! Lifetimes and instants, and the one place that reads the clock.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A lifetime in whole seconds.
///
/// At most [`Ttl::LONGEST`], so that nanoseconds on the wire cannot overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Ttl(u64);

impl Ttl {
    /// One hundred years of 365 days.
    pub const LONGEST: Self = Self(100 * 365 * 24 * 60 * 60);
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A lifetime of `seconds`, cut to [`Ttl::LONGEST`].
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        if seconds > Self::LONGEST.0 {
            Self::LONGEST
        } else {
            Self(seconds)
        }
    }

    /// Whole seconds of a duration on the host's wire (int64 nanoseconds);
    /// negative counts as zero.
    #[must_use]
    pub fn from_wire(nanos: i64) -> Self {
        Self::from_secs(u64::try_from(nanos).unwrap_or(0) / 1_000_000_000)
    }

    /// The lifetime on the host's wire: nanoseconds.
    #[must_use]
    pub const fn to_wire(self) -> i64 {
        self.as_i64().saturating_mul(1_000_000_000)
    }

    /// The number of seconds.
    #[must_use]
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The number of seconds, signed. LONGEST is far below `i64::MAX`.
    #[must_use]
    pub const fn as_i64(self) -> i64 {
        self.0.cast_signed()
    }

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl From<Ttl> for Duration {
    fn from(ttl: Ttl) -> Self {
        Self::from_secs(ttl.0)
    }
}

impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

impl<'de> Deserialize<'de> for Ttl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = u64::deserialize(deserializer)?;
        if seconds > Self::LONGEST.0 {
            return Err(de::Error::custom("a duration may not exceed 100 years"));
        }
        Ok(Self(seconds))
    }
}

impl JsonSchema for Ttl {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Ttl")
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "format": "seconds" })
    }
}

/// An instant, shown as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(jiff::Timestamp::UNIX_EPOCH);

    /// An instant from Unix seconds; out of range is cut to the range.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(
            jiff::Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
                jiff::Timestamp::MIN
            } else {
                jiff::Timestamp::MAX
            }),
        )
    }

    /// Whole Unix seconds, rounded down.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0.as_millisecond().div_euclid(1000)
    }

    /// Unix milliseconds.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The instant `ttl` later, cut to the range of the type.
    #[must_use]
    pub fn plus(self, ttl: Ttl) -> Self {
        Self(
            self.0
                .saturating_add(Duration::from(ttl))
                .unwrap_or(jiff::Timestamp::MAX),
        )
    }

    /// The instant `ttl` earlier, cut to the range of the type.
    #[must_use]
    pub fn minus(self, ttl: Ttl) -> Self {
        Self(
            self.0
                .saturating_sub(Duration::from(ttl))
                .unwrap_or(jiff::Timestamp::MIN),
        )
    }

    /// Whole seconds from `self` until `later`; zero if that has passed.
    #[must_use]
    pub fn until(self, later: Self) -> Ttl {
        let seconds = later.0.duration_since(self.0).as_secs();
        Ttl::from_secs(u64::try_from(seconds).unwrap_or(0))
    }

    /// The underlying instant, for calendar arithmetic.
    #[must_use]
    pub const fn instant(self) -> jiff::Timestamp {
        self.0
    }
}

impl From<jiff::Timestamp> for Timestamp {
    fn from(instant: jiff::Timestamp) -> Self {
        Self(instant)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| {
            format!("`{text}` is not a time; write RFC 3339, as in 2027-01-01T00:00:00Z")
        })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Timestamp")
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// An instant that may be unset: an empty text then, to write and to read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OptionalTime(pub Option<Timestamp>);

impl Serialize for OptionalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(time) => time.serialize(serializer),
            None => serializer.serialize_str(""),
        }
    }
}

impl<'de> Deserialize<'de> for OptionalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse()
            .map(|time| Self(Some(time)))
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for OptionalTime {
    fn schema_name() -> Cow<'static, str> {
        Timestamp::schema_name()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Timestamp::json_schema(generator)
    }
}

/// Where "now" comes from. Held by the mount, read once per request, so that
/// one request sees one instant.
pub trait Clock: Send + Sync + fmt::Debug {
    /// The present.
    fn now(&self) -> Timestamp;
}

/// A clock that stands still.
impl Clock for Timestamp {
    fn now(&self) -> Timestamp {
        *self
    }
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one reader of the clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ttl_survives_the_wire() {
        for seconds in [0, 1, 60, Ttl::LONGEST.as_secs()] {
            let ttl = Ttl::from_secs(seconds);
            assert_eq!(Ttl::from_wire(ttl.to_wire()), ttl);
        }
        assert_eq!(Ttl::from_wire(-5), Ttl::ZERO);
        assert_eq!(Ttl::from_secs(u64::MAX), Ttl::LONGEST);
    }

    #[test]
    fn time_is_rfc_3339_in_utc() {
        let time: Timestamp = "2027-01-01T01:00:00+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(time.unix(), 1_798_761_600);
        assert!("tomorrow".parse::<Timestamp>().is_err());
    }

    #[test]
    fn the_past_is_no_time_left() {
        let now = Timestamp::from_unix(1000);
        assert_eq!(now.until(Timestamp::from_unix(990)), Ttl::ZERO);
        assert_eq!(now.until(now.plus(Ttl::from_secs(5))), Ttl::from_secs(5));
    }
}
