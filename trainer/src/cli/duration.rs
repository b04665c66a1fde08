//! Lengths of time as they are typed.

use std::time::Duration;

/// Reads `90s`, `10m`, `1h` or `1h30m`.
pub(super) fn budget(text: &str) -> Result<Duration, String> {
    let example = "write a time such as 90s, 10m or 1h30m";
    let mut seconds = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(example)?;
        let value: f64 = rest[..end].trim().parse().map_err(|_| example)?;
        seconds += value
            * match &rest[end..=end] {
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return Err(example.to_owned()),
            };
        rest = rest[end + 1..].trim_start();
    }
    positive(seconds).ok_or_else(|| example.to_owned())
}

/// Reads a number of seconds, `10` or `2.5`, or a time as [`budget`] does.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    match text.trim().parse() {
        Ok(seconds) => {
            positive(seconds).ok_or_else(|| "it must be above 0, and a year at most".to_owned())
        }
        Err(_) => budget(text),
    }
}

/// Reads a place in a sound: as [`seconds`] does, or 0.
pub(super) fn place(text: &str) -> Result<Duration, String> {
    if text.trim().parse() == Ok(0.0) { Ok(Duration::ZERO) } else { seconds(text) }
}

/// Reads a time as [`budget`] does, or `0s`.
pub(super) fn interval(text: &str) -> Result<Duration, String> {
    if text.trim() == "0s" { Ok(Duration::ZERO) } else { budget(text) }
}

/// A time as [`budget`] reads it.
pub(super) fn text(time: Duration) -> String {
    format!("{}s", time.as_secs_f64())
}

/// A time above zero and up to a year.
fn positive(seconds: f64) -> Option<Duration> {
    const YEAR: f64 = 365.0 * 86_400.0;
    (seconds > 0.0 && seconds <= YEAR).then(|| Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_a_unit() {
        let seconds = |text| budget(text).map(|time| time.as_secs_f64());
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("10m"), Ok(600.0));
        assert_eq!(seconds("1h"), Ok(3600.0));
        assert_eq!(seconds("1h30m"), Ok(5400.0));
        assert_eq!(seconds(" 1.5m "), Ok(90.0));
        for wrong in
            ["", "10", "m", "10x", "-5m", "0s", "1e99h", "infs", "NaNs", "10 minutes", "5ü"]
        {
            assert!(budget(wrong).is_err(), "{wrong:?} was taken");
        }
    }

    #[test]
    fn a_place_may_be_the_start() {
        assert_eq!(place("0"), Ok(Duration::ZERO));
        assert_eq!(place("0.5"), Ok(Duration::from_millis(500)));
        assert!(place("-1").is_err());
    }

    #[test]
    fn an_interval_may_be_none() {
        assert_eq!(interval("0s"), Ok(Duration::ZERO));
        assert_eq!(interval("2m"), Ok(Duration::from_secs(120)));
        assert!(interval("0").is_err() && interval("-1s").is_err());
    }

    #[test]
    fn a_duration_may_be_plain_seconds() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert_eq!(seconds("1m"), Ok(Duration::from_secs(60)));
        for wrong in ["0", "-1", "inf", "NaN", "ten", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong:?} was taken");
        }
    }
}
