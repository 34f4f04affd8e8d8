//! Durations as policies write them.

use crate::model::time::Ttl;

/// Reads `90s`, `5m`, `1h30m` or `7d`.
///
/// # Errors
/// A sentence that says what to write.
pub fn parse(text: &str) -> Result<Ttl, String> {
    let wrong = || format!("`{text}` is not a duration; write `90s`, `5m`, `1h30m` or `7d`");
    let mut rest = text;
    let mut seconds = 0_u64;
    let mut largest = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at_checked(digits).ok_or_else(wrong)?;
        let unit = match tail.as_bytes().first() {
            Some(b's') => 1,
            Some(b'm') => 60,
            Some(b'h') => 60 * 60,
            Some(b'd') => 24 * 60 * 60,
            _ => return Err(wrong()),
        };
        if unit >= largest {
            return Err(wrong());
        }
        largest = unit;
        let amount = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(unit))
            .ok_or_else(wrong)?;
        seconds = seconds.checked_add(amount).ok_or_else(wrong)?;
        rest = tail.get(1..).ok_or_else(wrong)?;
    }
    if text.is_empty() || seconds > Ttl::LONGEST.as_secs() {
        return Err(wrong());
    }
    Ok(Ttl::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units_from_large_to_small() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("5m", 300),
            ("1h30m", 5400),
            ("7d", 604_800),
        ] {
            assert_eq!(parse(text), Ok(Ttl::from_secs(seconds)), "{text}");
        }
        for bad in [
            "",
            "5",
            "m",
            "5x",
            "1m1h",
            "1m1m",
            "-5m",
            "5 m",
            "1.5h",
            "99999999999d",
            "5mé",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
